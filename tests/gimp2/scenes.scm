; What GIMP 2.10 does with the filter, scene by scene, as a script sees it: run inside GIMP by `tests/tests/gimp2.rs`.
;
; A scene makes an image, calls the procedure as a user's script would, and leaves what became of the image as PNG
; files, and what it knows of it as text. What they must hold is judged by the caller. The folder `folder`, which the
; caller defines, holds `content.png`, `alpha.png` and `style.png`.

(define QUICK "quality=0.06")
; So few steps that a content which differs by rounding gives a picture that does not differ by much more.
(define SHORT "quality=0.02;pyramid=false")

(define (path name) (string-append folder "/" name))

(define (open name) (car (gimp-file-load RUN-NONINTERACTIVE (path name) name)))

; An image whose upper layer is the content, and whose lower is the style: the image, and both.
(define (open-both name)
  (let* ((image (open name))
         (style (car (gimp-file-load-layer RUN-NONINTERACTIVE image (path "style.png")))))
    (gimp-image-insert-layer image style 0 1)
    (list image (aref (cadr (gimp-image-get-layers image)) 0) style)))

(define (keep image drawable name)
  (gimp-file-save RUN-NONINTERACTIVE image drawable (path (string-append name ".png")) name))

(define (tell value name)
  (let ((port (open-output-file (path (string-append name ".txt")))))
    (write value port)
    (close-output-port port)))

(define (paint image layer style settings)
  (plug-in-pentimento-style-transfer RUN-NONINTERACTIVE image layer style "" -1 "" 50 0 100 settings))

; Opens both, prepares them, paints, and keeps the layer.
(define (scene name content settings prepare)
  (let* ((both (open-both content)) (image (car both)) (layer (cadr both)) (style (caddr both)))
    (prepare image layer style)
    (paint image layer style settings)
    (keep image layer name)
    both))

(define (as-it-is image layer style) #t)

(define (scene-layer) (scene "layer" "content.png" QUICK as-it-is))

(define (scene-damaged) (scene "damaged" "damaged.tif" SHORT as-it-is))

(define (scene-alpha) (scene "alpha-painted" "alpha.png" QUICK as-it-is))

(define (scene-settings)
  (scene "settings" "content.png"
         "preset=draft; style_strength = 3;pyramid=false\npooling=average;content_layers=conv3_1:1;seed=7;start=noise"
         as-it-is))

(define (scene-two-styles)
  (let* ((both (open-both "content.png")) (image (car both)) (layer (cadr both)))
    (plug-in-pentimento-style-transfer RUN-NONINTERACTIVE image layer (caddr both) "" -1 (path "content.png") 25 0 100
                                       QUICK)
    (keep image layer "two-styles")))

(define (gray name content)
  (scene name content QUICK
         (lambda (image layer style)
           (gimp-image-convert-grayscale image)
           (keep image layer (string-append name "-content"))
           (keep image style (string-append name "-style")))))

(define (scene-gray) (gray "gray" "content.png"))

(define (scene-gray-alpha) (gray "gray-alpha" "alpha.png"))

; A style of another image, which has a palette.
(define (scene-palette)
  (let* ((both (open-both "content.png"))
         (other (open "style.png"))
         (style (car (gimp-image-get-active-layer other))))
    (gimp-image-convert-indexed other CONVERT-DITHER-NONE CONVERT-PALETTE-GENERATE 16 FALSE FALSE "")
    (paint (car both) (cadr both) style QUICK)
    (keep (car both) (cadr both) "palette-painted")
    (gimp-image-convert-rgb other)
    (keep other style "palette-style")))

; By the numbers of GIMP's enumeration.
(define (scene-precision precision)
  (let* ((both (open-both "content.png"))
         (image (car both))
         (name (string-append "precision-" (number->string precision))))
    (if (not (= precision 150)) (gimp-image-convert-precision image precision))
    (paint image (cadr both) (caddr both) SHORT)
    (tell (car (gimp-image-get-precision image)) name)
    (if (not (= precision 150)) (gimp-image-convert-precision image 150))
    (keep image (cadr both) name)))

(define (scene-profile)
  (let* ((both (open-both "content.png")) (image (car both)))
    (gimp-image-convert-color-profile-from-file image (string-append "file://" (path "wide.icc")) 1 FALSE)
    (keep image (cadr both) "profile-content")
    (paint image (cadr both) (caddr both) SHORT)
    (gimp-image-convert-color-profile-from-file image (string-append "file://" (path "srgb.icc")) 1 FALSE)
    (keep image (cadr both) "profile")))

(define (scene-dot)
  (let* ((both (open-both "content.png"))
         (image (car both))
         (dot (car (gimp-layer-new image 1 1 RGB-IMAGE "Dot" 100 28))))
    (gimp-image-insert-layer image dot 0 0)
    (gimp-context-set-foreground '(10 200 90))
    (gimp-drawable-fill dot FILL-FOREGROUND)
    (paint image dot (caddr both) QUICK)
    (keep image dot "dot")))

(define (scene-selection)
  (scene "selection" "content.png" QUICK
         (lambda (image layer style) (gimp-image-select-rectangle image CHANNEL-OP-REPLACE 10 5 20 12))))

(define (scene-feather)
  (scene "feather" "content.png" QUICK
         (lambda (image layer style)
           (gimp-image-select-rectangle image CHANNEL-OP-REPLACE 16 8 24 24)
           (gimp-selection-feather image 8)
           (keep image (car (gimp-selection-save image)) "feather-selection"))))

(define (scene-offsets)
  (let ((both (scene "offsets" "content.png" QUICK
                     (lambda (image layer style) (gimp-layer-set-offsets layer -20 13)))))
    (tell (gimp-drawable-offsets (cadr both)) "offsets")))

(define (new-layer name prepare)
  (let* ((both (open-both "content.png")) (image (car both)) (layer (cadr both)))
    (prepare image layer)
    (plug-in-pentimento-style-transfer RUN-NONINTERACTIVE image layer (caddr both) "" -1 "" 50 1 50 QUICK)
    (let ((new (aref (cadr (gimp-image-get-layers image)) 0)))
      (tell (list (car (gimp-image-get-layers image))
                  (car (gimp-item-get-name new))
                  (car (gimp-item-get-name (caddr both)))
                  (round (car (gimp-layer-get-opacity new))) (gimp-drawable-offsets new))
            name)
      (keep image layer (string-append name "-below"))
      (list image new))))

(define (scene-new-layer)
  (let ((made (new-layer "new-layer" (lambda (image layer) (gimp-layer-set-offsets layer 3 -4)))))
    (keep (car made) (cadr made) "new-layer")))

(define (scene-mask)
  (let* ((select (lambda (image layer) (gimp-image-select-rectangle image CHANNEL-OP-REPLACE 10 5 20 12)))
         (made (new-layer "mask" select)))
    (keep (car made) (car (gimp-layer-get-mask (cadr made))) "mask")))

(define (scene-opacity)
  (let* ((both (open-both "content.png")) (image (car both)))
    (plug-in-pentimento-style-transfer RUN-NONINTERACTIVE image (cadr both) (caddr both) "" -1 "" 50 0 50 QUICK)
    (keep image (cadr both) "opacity")))

; Refusals. An error ends a script, so what is left of the image is kept by another, `after`.

(define (refuse name prepare call)
  (let* ((both (open-both "content.png")) (image (car both)) (layer (prepare image (cadr both) (caddr both))))
    (tell (list image layer) "refused")
    (keep image layer (string-append name "-before"))
    (gimp-message (string-append "refusal: " name))
    (call image layer (caddr both))))

(define (after name)
  (let ((refused (read (open-input-file (path "refused.txt")))))
    (keep (car refused) (cadr refused) (string-append name "-after"))))

(define (layer-itself image layer style) layer)

(define (paint-quickly image layer style) (paint image layer style QUICK))

(define (refuse-palette)
  (refuse "palette"
          (lambda (image layer style)
            (gimp-image-convert-indexed image CONVERT-DITHER-NONE CONVERT-PALETTE-GENERATE 16 FALSE FALSE "")
            layer)
          paint-quickly))

(define (refuse-group)
  (refuse "group"
          (lambda (image layer style)
            (let ((group (car (gimp-layer-group-new image))))
              (gimp-image-insert-layer image group 0 0)
              (gimp-item-set-name group "Hills")
              (gimp-image-reorder-item image layer group 0)
              group))
          paint-quickly))

(define (refuse-mask)
  (refuse "mask"
          (lambda (image layer style)
            (let ((mask (car (gimp-layer-create-mask layer ADD-MASK-WHITE))))
              (gimp-layer-add-mask layer mask)
              mask))
          paint-quickly))

(define (refuse-locked)
  (refuse "locked" (lambda (image layer style) (gimp-item-set-lock-content layer TRUE) layer) paint-quickly))

(define (refuse-beside)
  (refuse "beside"
          (lambda (image layer style)
            (gimp-layer-set-offsets layer 40 0)
            (gimp-image-select-rectangle image CHANNEL-OP-REPLACE 0 0 5 5)
            layer)
          paint-quickly))

(define (refuse-no-style)
  (refuse "no-style" layer-itself (lambda (image layer style) (paint image layer -1 QUICK))))

(define (refuse-lone)
  (map gimp-image-delete (vector->list (cadr (gimp-image-list))))
  (refuse "lone"
          (lambda (image layer style) (gimp-image-remove-layer image style) layer)
          (lambda (image layer style) (paint image layer -1 QUICK))))

(define (refuse-group-style)
  (refuse "group-style"
          layer-itself
          (lambda (image layer style)
            (let ((group (car (gimp-layer-group-new image))))
              (gimp-image-insert-layer image group 0 2)
              (paint image layer group QUICK)))))

(define (refuse-file)
  (refuse "file" layer-itself
          (lambda (image layer style)
            (plug-in-pentimento-style-transfer RUN-NONINTERACTIVE image layer -1 (path "wrong.png") -1 "" 50 0 100
                                               QUICK))))

(define (refuse-setting)
  (refuse "setting" layer-itself
          (lambda (image layer style) (paint image layer style "style_layers=conv9_9:1"))))

(define (refuse-text)
  (refuse "text" layer-itself (lambda (image layer style) (paint image layer style "quality"))))

(define (refuse-blend)
  (refuse "blend" layer-itself
          (lambda (image layer style)
            (plug-in-pentimento-style-transfer RUN-NONINTERACTIVE image layer style "" -1 "" 120 0 100 QUICK))))

(define (refuse-memory)
  (refuse "memory" layer-itself (lambda (image layer style) (paint image layer style "memory_limit=0.01"))))
