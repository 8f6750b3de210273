; The image of `tests/gimp/screen.py`, and what became of it: run inside GIMP by `tests/tests/gimp2_screen.rs`, which
; defines `folder`.

(define (path name) (string-append folder "/" name))

; Writes canvas.xcf: the content above two styles.
(define (make)
  (let* ((image (car (gimp-file-load RUN-NONINTERACTIVE (path "content.png") "content.png")))
         (layer (car (gimp-image-get-active-layer image)))
         (add-style (lambda (name place)
                      (let ((style (car (gimp-file-load-layer RUN-NONINTERACTIVE image (path "style.png")))))
                        (gimp-image-insert-layer image style 0 place)
                        (gimp-item-set-name style name)))))
    (gimp-item-set-name layer "Cat")
    (add-style "Evening" 1)
    (add-style "Night" 2)
    (gimp-image-set-active-layer image layer)
    (gimp-file-save RUN-NONINTERACTIVE image layer (path "canvas.xcf") "canvas.xcf")
    (gimp-file-save RUN-NONINTERACTIVE image layer (path "original.xcf") "original.xcf")))

; Writes the layers of an image as NAME-0.png and so on, from the top, and their names as NAME.txt.
(define (take-apart name)
  (let* ((file (string-append name ".xcf"))
         (image (car (gimp-file-load RUN-NONINTERACTIVE (path file) file)))
         (layers (vector->list (cadr (gimp-image-get-layers image))))
         (port (open-output-file (path (string-append name ".txt"))))
         (place 0))
    (map (lambda (layer)
           (let ((picture (string-append name "-" (number->string place) ".png")))
             (gimp-file-save RUN-NONINTERACTIVE image layer (path picture) picture)
             (display (car (gimp-item-get-name layer)) port)
             (newline port)
             (set! place (+ place 1))))
         layers)
    (close-output-port port)))
