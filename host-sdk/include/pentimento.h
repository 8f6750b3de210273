/*
 * The contract between a host and a Pentimento plugin: C tables, and no logic.
 *
 * A host opens the library, looks up one symbol, `PENTIMENTO_ENTRY_SYMBOL`, and calls it with the number of the ABI that
 * it was built for. It receives a table of functions, `pentimento_plugin`, or NULL when the library does not speak that
 * number. Everything else is reached through that table.
 *
 * The rules, each of which exists because some plugin system did without it and suffered:
 *
 * - **A shipped table never changes.** Growth comes by `pentimento_plugin.extension` and `pentimento_host.extension`, named
 *   `"pentimento.NAME/VERSION"`. Every table begins with its own size, so that either side may reject one that is
 *   shorter than it needs. The offsets below are frozen by assertions.
 * - **Nothing is freed across the boundary.** Images are borrowed for one call, errors are written into memory of
 *   the caller, texts that describe the plugin live as long as the library, and the library is never unloaded.
 * - **Integers, not C enums or `bool`**, wherever a value crosses: the width of those is the compiler's choice.
 * - **Threads** are stated with each function: `[main-thread]` (any one thread at a time), `[render-thread]` (the
 *   thread that called `job_render`, during that call) or `[any-thread]`.
 *
 * What was learned from whom: CLAP (extensions, thread annotations), OpenFX (hosts describe before they render),
 * SQLite and the ONNX Runtime (one function table), webgpu.h (sized structs, errors without globals).
 *
 * Generated from host-sdk/src/abi.rs by host-sdk/tests/header.rs; not to be edited.
 */

#ifndef PENTIMENTO_H
#define PENTIMENTO_H

#include <stddef.h>
#include <stdint.h>

// The one symbol that every plugin exports, a function of type `pentimento_entry_function`.
#define PENTIMENTO_ENTRY_SYMBOL "pentimento_entry"

// The optional symbol for Rust hosts: the layouts of these tables as abi_stable sees them.
#define PENTIMENTO_LAYOUT_SYMBOL "pentimento_layout"

// The name of the extension whose table is `pentimento_diagnostics`.
#define PENTIMENTO_DIAGNOSTICS_EXTENSION "pentimento.diagnostics/1"

// The name of the extension whose table is `pentimento_estimation`.
#define PENTIMENTO_ESTIMATE_EXTENSION "pentimento.estimate/1"

// The name of the extension whose table is `pentimento_presets`.
#define PENTIMENTO_PRESETS_EXTENSION "pentimento.presets/1"

// One render to be: a filter, its settings, and a way to end it. Opaque.
typedef struct pentimento_job pentimento_job;


// The number of the ABI that this file describes.
#define PENTIMENTO_ABI 1

// The number of bytes in an error's text, with the NUL that ends it.
#define PENTIMENTO_ERROR_TEXT_SIZE 1024

// 8-bit unsigned samples, 0 to 255.
#define PENTIMENTO_FORMAT_U8 1

// 16-bit unsigned samples, 0 to 65535, in the machine's byte order.
#define PENTIMENTO_FORMAT_U16 2

// IEEE 754 half precision, nominally 0 to 1.
#define PENTIMENTO_FORMAT_F16 3

// IEEE 754 single precision, nominally 0 to 1.
#define PENTIMENTO_FORMAT_F32 4

// One gray channel.
#define PENTIMENTO_LAYOUT_GRAY 1

// Gray and straight alpha.
#define PENTIMENTO_LAYOUT_GRAY_ALPHA 2

// Red, green, blue.
#define PENTIMENTO_LAYOUT_RGB 3

// Red, green, blue and straight alpha.
#define PENTIMENTO_LAYOUT_RGBA 4

// Blue, green, red and straight alpha, for hosts that store it so.
#define PENTIMENTO_LAYOUT_BGRA 5

// Colour samples carry the sRGB transfer curve (alpha never does).
#define PENTIMENTO_TRANSFER_SRGB 1

// Colour samples are proportional to light, with sRGB's primaries.
#define PENTIMENTO_TRANSFER_LINEAR 2

// Go on.
#define PENTIMENTO_CONTINUE 0

// End soon and keep the best picture so far.
#define PENTIMENTO_STOP 1

// End soon and leave the output as it is.
#define PENTIMENTO_CANCEL 2

// Details for those who debug.
#define PENTIMENTO_LOG_DEBUG 1

// What a curious user may want to know.
#define PENTIMENTO_LOG_INFO 2

// Something was mended or replaced: scrubbed samples, a fall-back to the CPU.
#define PENTIMENTO_LOG_WARNING 3

// A real number.
#define PENTIMENTO_KIND_FLOAT 1

// A whole number.
#define PENTIMENTO_KIND_INTEGER 2

// 0 or 1.
#define PENTIMENTO_KIND_BOOL 3

// One of the ids in `choices`.
#define PENTIMENTO_KIND_CHOICE 4

// Any text.
#define PENTIMENTO_KIND_TEXT 5

// What a call came to: an outcome when it is 0 or more, an error when it is less.
typedef int32_t pentimento_status;

// Where a failed call explains itself. The caller owns it and may reuse it; the plugin writes it only on failure.
typedef struct pentimento_error {
    // `sizeof(pentimento_error)`, set by the caller.
    uint32_t struct_size;
    // The negative status that the call returned.
    pentimento_status code;
    // UTF-8, ended by NUL, cut at a character boundary when it is too long.
    char text[PENTIMENTO_ERROR_TEXT_SIZE];
} pentimento_error;

// A borrowed picture: interleaved samples of any stride.
//
// The plugin reads inputs and writes outputs during the call that receives them and keeps no pointer afterwards.
// It never writes to an input.
typedef struct pentimento_image {
    // `sizeof(pentimento_image)`.
    uint32_t struct_size;
    // Pixels in a row, 1 or more.
    uint32_t width;
    // Rows, 1 or more.
    uint32_t height;
    // One of `PENTIMENTO_FORMAT_*`.
    uint32_t format;
    // One of `PENTIMENTO_LAYOUT_*`.
    uint32_t layout;
    // One of `PENTIMENTO_TRANSFER_*`.
    uint32_t transfer;
    // Bytes from a row to the one below it; negative when rows are stored from the bottom up.
    int64_t row_stride;
    // The first sample of the top row. Samples need no alignment.
    void *pixels;
} pentimento_image;

// A style picture and its share in the blend of styles.
typedef struct pentimento_style {
    // `sizeof(pentimento_style)`.
    uint32_t struct_size;
    // Reserved, 0.
    uint32_t reserved;
    // The picture; of any size.
    const struct pentimento_image *image;
    // Its share, above 0; the shares of all styles are divided by their sum.
    double weight;
} pentimento_style;

// How far a render has come. Valid during the callback that receives it.
typedef struct pentimento_progress {
    // `sizeof(pentimento_progress)`.
    uint32_t struct_size;
    // The pyramid level at work, from 0 (the coarsest).
    uint32_t level;
    // The number of pyramid levels.
    uint32_t level_count;
    // The optimiser's step within the level, from 0.
    uint32_t step;
    // The number of steps planned for the level.
    uint32_t step_count;
    // Reserved, 0.
    uint32_t reserved;
    // The share of the work done, 0 to 1, never falling, even in time as well as can be foreseen.
    double fraction;
    // The objective at the last evaluation; NaN while there is none.
    double loss;
    // Estimated seconds until the end; NaN while unknown.
    double seconds_left;
    // What is being done, a short text for people, such as "painting".
    const char *stage;
    // Now and then the picture as it stands, RGB, 8-bit, sRGB, of any size; otherwise NULL.
    const struct pentimento_image *preview;
} pentimento_progress;

// What the plugin may call during a render. Any of the functions may be NULL.
typedef struct pentimento_host {
    // `sizeof(pentimento_host)`.
    uint32_t struct_size;
    // The ABI number that the host speaks.
    uint32_t abi;
    // Handed back to each of the functions below.
    void *context;
    // `[render-thread]` Reports progress; at least once per evaluation of the network. Returns `PENTIMENTO_CONTINUE`,
    // `PENTIMENTO_STOP` or `PENTIMENTO_CANCEL`; another value counts as CANCEL.
    int32_t (*progress)(void *context, const struct pentimento_progress *progress);
    // `[render-thread]` Reports a line of text with one of `PENTIMENTO_LOG_*`.
    void (*log)(void *context, int32_t level, const char *message);
    // `[render-thread]` Returns the host's table for a named extension, or NULL.
    const void *(*extension)(void *context, const char *name);
} pentimento_host;

// Everything that one render works on. Borrowed for the call.
typedef struct pentimento_render_request {
    // `sizeof(pentimento_render_request)`.
    uint32_t struct_size;
    // The number of entries in `styles`.
    uint32_t style_count;
    // The active layer.
    const struct pentimento_image *content;
    // The styles, as many as the filter asks for.
    const struct pentimento_style *styles;
    // Where the result goes: of the content's width and height, in any format. May share memory with the content
    // (same pixels, same stride): it is written only after everything has been read.
    struct pentimento_image *output;
    // The host's callbacks; may be NULL.
    const struct pentimento_host *host;
} pentimento_render_request;

// What a filter is.
typedef struct pentimento_filter {
    // `sizeof(pentimento_filter)`, set by the caller.
    uint32_t struct_size;
    // The number of its parameters.
    uint32_t parameter_count;
    // The fewest styles that it takes.
    uint32_t style_min;
    // The most styles that it takes.
    uint32_t style_max;
    // Stable identifier, such as "style-transfer".
    const char *id;
    // Name for people.
    const char *label;
    // Where a menu should show it, parts separated by '/'.
    const char *menu;
    // One or two sentences of help.
    const char *help;
} pentimento_filter;

// One of the values that a parameter of kind CHOICE can have.
typedef struct pentimento_choice {
    // Stable identifier, the value to set.
    const char *id;
    // Name for people.
    const char *label;
    // One sentence of help, or "".
    const char *help;
} pentimento_choice;

// What a parameter is: enough to build its control in a dialog.
typedef struct pentimento_parameter {
    // `sizeof(pentimento_parameter)`, set by the caller.
    uint32_t struct_size;
    // One of `PENTIMENTO_KIND_*`.
    uint32_t kind;
    // 1 when it belongs under "Advanced", else 0.
    uint32_t advanced;
    // The number of entries in `choices`.
    uint32_t choice_count;
    // The smallest value allowed (numbers).
    double hard_min;
    // The largest value allowed.
    double hard_max;
    // The comfortable range of a slider: its lower end.
    double soft_min;
    // Its upper end.
    double soft_max;
    // A sensible increment.
    double step;
    // The default of a number or bool.
    double default_number;
    // The default as text, for every kind.
    const char *default_text;
    // Stable identifier, the name to set it by.
    const char *id;
    // Name for people.
    const char *label;
    // One or two sentences of help.
    const char *help;
    // The group that it is shown in.
    const char *group;
    // Its unit, such as "px", or "".
    const char *unit;
    // The values of a CHOICE, otherwise NULL.
    const struct pentimento_choice *choices;
} pentimento_parameter;

// The plugin's functions. None is ever NULL. The table lives as long as the library, which is never unloaded.
//
// Every `error` may be NULL. No function throws, aborts or keeps a pointer that it was given.
typedef struct pentimento_plugin {
    // `sizeof(pentimento_plugin)` as the plugin was built.
    uint32_t struct_size;
    // The ABI number of this table.
    uint32_t abi;
    // Stable identifier of the plugin.
    const char *id;
    // Its name for people.
    const char *name;
    // Its version, "major.minor.patch".
    const char *version;
    // `[any-thread]` The number of filters.
    uint32_t (*filter_count)(void);
    // `[any-thread]` Describes the filter at `index`. `out->struct_size` must be set.
    pentimento_status (*describe_filter)(uint32_t index, struct pentimento_filter *out, struct pentimento_error *error);
    // `[any-thread]` Describes a parameter of the filter with that id. `out->struct_size` must be set.
    pentimento_status (*describe_parameter)(const char *filter,
                                            uint32_t index,
                                            struct pentimento_parameter *out,
                                            struct pentimento_error *error);
    // `[any-thread]` Makes a job for the filter with that id, with every parameter at its default.
    pentimento_status (*job_create)(const char *filter, pentimento_job **out, struct pentimento_error *error);
    // `[main-thread]` Ends a job that is not being rendered. NULL is allowed.
    void (*job_destroy)(pentimento_job *job);
    // `[main-thread]` Sets a parameter of kind FLOAT, INTEGER or BOOL.
    pentimento_status (*job_set_number)(pentimento_job *job,
                                        const char *id,
                                        double value,
                                        struct pentimento_error *error);
    // `[main-thread]` Sets a parameter of any kind from text, such as "0.5", "true" or a choice's id.
    pentimento_status (*job_set_text)(pentimento_job *job,
                                      const char *id,
                                      const char *value,
                                      struct pentimento_error *error);
    // `[main-thread]` Writes the settings that were made, as text ended by NUL, into `buffer`; `*needed` receives the
    // bytes that it takes, NUL included. With a buffer that is too small (or NULL) nothing but `*needed` is written, and
    // the call still returns OK: whether the text came is told by `*needed <= capacity`.
    pentimento_status (*job_state)(const pentimento_job *job,
                                   char *buffer,
                                   size_t capacity,
                                   size_t *needed,
                                   struct pentimento_error *error);
    // `[main-thread]` Replaces all settings by those in a text that `job_state` wrote; all or none.
    pentimento_status (*job_set_state)(pentimento_job *job, const char *state, struct pentimento_error *error);
    // `[any-thread]` Renders, blocking the caller. Several jobs may render at once; one job renders once at a time.
    // Returns OK, STOPPED, CANCELLED or an error; the output is written only for OK and STOPPED, and then always and
    // in full, even when the first call of `progress` asks to stop: the picture is then what painting starts from.
    pentimento_status (*job_render)(pentimento_job *job,
                                    const struct pentimento_render_request *request,
                                    struct pentimento_error *error);
    // `[any-thread]` Ends the render in progress within one evaluation of the network: `how` is `PENTIMENTO_STOP` or
    // `PENTIMENTO_CANCEL`. Without a render in progress it does nothing.
    pentimento_status (*job_cancel)(const pentimento_job *job, int32_t how);
    // `[any-thread]` Returns the plugin's table for a named extension, or NULL.
    const void *(*extension)(const char *name);
} pentimento_plugin;

// Tells what the plugin would run on, for `doctor` commands and bug reports.
typedef struct pentimento_diagnostics {
    // `sizeof(pentimento_diagnostics)`.
    uint32_t struct_size;
    // Reserved, 0.
    uint32_t reserved;
    // `[any-thread]` Writes a report as TOML text, ended by NUL, under the same rules as `job_state`. It measures the
    // speed of the network and takes about a second.
    pentimento_status (*report)(char *buffer, size_t capacity, size_t *needed, struct pentimento_error *error);
} pentimento_diagnostics;

// The size of a picture.
typedef struct pentimento_size {
    // Pixels in a row, 1 or more.
    uint32_t width;
    // Rows, 1 or more.
    uint32_t height;
} pentimento_size;

// A render that may come: the sizes of the pictures that it would work on. Borrowed for the call.
typedef struct pentimento_estimate_request {
    // `sizeof(pentimento_estimate_request)`.
    uint32_t struct_size;
    // The number of entries in `styles`.
    uint32_t style_count;
    // The active layer.
    struct pentimento_size content;
    // The styles, as many as the filter asks for.
    const struct pentimento_size *styles;
} pentimento_estimate_request;

// What a render would take.
typedef struct pentimento_estimate {
    // `sizeof(pentimento_estimate)`, set by the caller.
    uint32_t struct_size;
    // Reserved, 0.
    uint32_t reserved;
    // From call to return on a machine that has little else to do, should all planned steps be needed.
    double seconds;
    // The most bytes of memory at any time, beside the images that the host lends.
    uint64_t bytes;
} pentimento_estimate;

// Tells what a render would take before it is begun.
typedef struct pentimento_estimation {
    // `sizeof(pentimento_estimation)`.
    uint32_t struct_size;
    // Reserved, 0.
    uint32_t reserved;
    // `[any-thread]` Estimates a render with the job's settings as they are. `out->struct_size` must be set. The first
    // call for a device, number of threads or method measures its speed, which takes up to a second and tells the
    // truth while nothing else is being rendered; later calls answer at once.
    pentimento_status (*estimate)(const pentimento_job *job,
                                  const struct pentimento_estimate_request *request,
                                  struct pentimento_estimate *out,
                                  struct pentimento_error *error);
} pentimento_estimation;

// Tells what presets make of the other parameters, for dialogs that show it.
typedef struct pentimento_presets {
    // `sizeof(pentimento_presets)`.
    uint32_t struct_size;
    // Reserved, 0.
    uint32_t reserved;
    // `[any-thread]` Writes the id of the CHOICE whose values are the presets of the filter with that id, as text ended
    // by NUL, under the same rules as `job_state`; an empty text for a filter without presets.
    pentimento_status (*parameter)(const char *filter,
                                   char *buffer,
                                   size_t capacity,
                                   size_t *needed,
                                   struct pentimento_error *error);
    // `[main-thread]` Writes the value that a parameter has in a job, as text that `job_set_text` takes, under the same
    // rules as `job_state`: what was set, or what the job's preset makes of it, or its default.
    pentimento_status (*value)(const pentimento_job *job,
                               const char *id,
                               char *buffer,
                               size_t capacity,
                               size_t *needed,
                               struct pentimento_error *error);
} pentimento_presets;

// The type of `PENTIMENTO_ENTRY_SYMBOL`. `[any-thread]`
typedef const struct pentimento_plugin *(*pentimento_entry_function)(uint32_t abi);

// Done.
#define PENTIMENTO_OK 0

// Ended early at the host's wish; the output holds the best picture so far.
#define PENTIMENTO_STOPPED 1

// Abandoned at the host's wish; the output was not touched.
#define PENTIMENTO_CANCELLED 2

// An argument is unusable; the error's text begins with its name.
#define PENTIMENTO_ERROR_ARGUMENT (-1)

// The call does not fit the job's state: it is being rendered on another thread.
#define PENTIMENTO_ERROR_STATE (-2)

// An image's format, layout or transfer is not one of those listed here.
#define PENTIMENTO_ERROR_FORMAT (-3)

// Not enough memory; the text says how much is needed and what would fit.
#define PENTIMENTO_ERROR_MEMORY (-4)

// The compute device cannot be used or failed.
#define PENTIMENTO_ERROR_DEVICE (-5)

// The network's model file is damaged or foreign.
#define PENTIMENTO_ERROR_MODEL (-6)

// A defect in the plugin; nothing was written.
#define PENTIMENTO_ERROR_INTERNAL (-7)

#ifdef __cplusplus
extern "C" {
#endif

// The one symbol of a plugin, see `PENTIMENTO_ENTRY_SYMBOL`: its table, or NULL when it does not speak that ABI.
// `[any-thread]` Hosts look it up in the library; plugins define it and export it.
const pentimento_plugin *pentimento_entry(uint32_t abi);

#ifdef __cplusplus
}
#endif

// The offsets of a shipped table, frozen.
#ifdef __cplusplus
#define PENTIMENTO_ASSERT(condition) static_assert(condition, #condition)
#else
#define PENTIMENTO_ASSERT(condition) _Static_assert(condition, #condition)
#endif
#if UINTPTR_MAX == UINT64_MAX
PENTIMENTO_ASSERT(offsetof(pentimento_error, struct_size) == 0);
PENTIMENTO_ASSERT(offsetof(pentimento_error, code) == 4);
PENTIMENTO_ASSERT(offsetof(pentimento_error, text) == 8);
PENTIMENTO_ASSERT(sizeof(pentimento_error) == 1032);
PENTIMENTO_ASSERT(offsetof(pentimento_image, struct_size) == 0);
PENTIMENTO_ASSERT(offsetof(pentimento_image, width) == 4);
PENTIMENTO_ASSERT(offsetof(pentimento_image, height) == 8);
PENTIMENTO_ASSERT(offsetof(pentimento_image, format) == 12);
PENTIMENTO_ASSERT(offsetof(pentimento_image, layout) == 16);
PENTIMENTO_ASSERT(offsetof(pentimento_image, transfer) == 20);
PENTIMENTO_ASSERT(offsetof(pentimento_image, row_stride) == 24);
PENTIMENTO_ASSERT(offsetof(pentimento_image, pixels) == 32);
PENTIMENTO_ASSERT(sizeof(pentimento_image) == 40);
PENTIMENTO_ASSERT(offsetof(pentimento_style, struct_size) == 0);
PENTIMENTO_ASSERT(offsetof(pentimento_style, reserved) == 4);
PENTIMENTO_ASSERT(offsetof(pentimento_style, image) == 8);
PENTIMENTO_ASSERT(offsetof(pentimento_style, weight) == 16);
PENTIMENTO_ASSERT(sizeof(pentimento_style) == 24);
PENTIMENTO_ASSERT(offsetof(pentimento_progress, struct_size) == 0);
PENTIMENTO_ASSERT(offsetof(pentimento_progress, level) == 4);
PENTIMENTO_ASSERT(offsetof(pentimento_progress, level_count) == 8);
PENTIMENTO_ASSERT(offsetof(pentimento_progress, step) == 12);
PENTIMENTO_ASSERT(offsetof(pentimento_progress, step_count) == 16);
PENTIMENTO_ASSERT(offsetof(pentimento_progress, reserved) == 20);
PENTIMENTO_ASSERT(offsetof(pentimento_progress, fraction) == 24);
PENTIMENTO_ASSERT(offsetof(pentimento_progress, loss) == 32);
PENTIMENTO_ASSERT(offsetof(pentimento_progress, seconds_left) == 40);
PENTIMENTO_ASSERT(offsetof(pentimento_progress, stage) == 48);
PENTIMENTO_ASSERT(offsetof(pentimento_progress, preview) == 56);
PENTIMENTO_ASSERT(sizeof(pentimento_progress) == 64);
PENTIMENTO_ASSERT(offsetof(pentimento_host, struct_size) == 0);
PENTIMENTO_ASSERT(offsetof(pentimento_host, abi) == 4);
PENTIMENTO_ASSERT(offsetof(pentimento_host, context) == 8);
PENTIMENTO_ASSERT(offsetof(pentimento_host, progress) == 16);
PENTIMENTO_ASSERT(offsetof(pentimento_host, log) == 24);
PENTIMENTO_ASSERT(offsetof(pentimento_host, extension) == 32);
PENTIMENTO_ASSERT(sizeof(pentimento_host) == 40);
PENTIMENTO_ASSERT(offsetof(pentimento_render_request, struct_size) == 0);
PENTIMENTO_ASSERT(offsetof(pentimento_render_request, style_count) == 4);
PENTIMENTO_ASSERT(offsetof(pentimento_render_request, content) == 8);
PENTIMENTO_ASSERT(offsetof(pentimento_render_request, styles) == 16);
PENTIMENTO_ASSERT(offsetof(pentimento_render_request, output) == 24);
PENTIMENTO_ASSERT(offsetof(pentimento_render_request, host) == 32);
PENTIMENTO_ASSERT(sizeof(pentimento_render_request) == 40);
PENTIMENTO_ASSERT(offsetof(pentimento_filter, struct_size) == 0);
PENTIMENTO_ASSERT(offsetof(pentimento_filter, parameter_count) == 4);
PENTIMENTO_ASSERT(offsetof(pentimento_filter, style_min) == 8);
PENTIMENTO_ASSERT(offsetof(pentimento_filter, style_max) == 12);
PENTIMENTO_ASSERT(offsetof(pentimento_filter, id) == 16);
PENTIMENTO_ASSERT(offsetof(pentimento_filter, label) == 24);
PENTIMENTO_ASSERT(offsetof(pentimento_filter, menu) == 32);
PENTIMENTO_ASSERT(offsetof(pentimento_filter, help) == 40);
PENTIMENTO_ASSERT(sizeof(pentimento_filter) == 48);
PENTIMENTO_ASSERT(offsetof(pentimento_choice, id) == 0);
PENTIMENTO_ASSERT(offsetof(pentimento_choice, label) == 8);
PENTIMENTO_ASSERT(offsetof(pentimento_choice, help) == 16);
PENTIMENTO_ASSERT(sizeof(pentimento_choice) == 24);
PENTIMENTO_ASSERT(offsetof(pentimento_parameter, struct_size) == 0);
PENTIMENTO_ASSERT(offsetof(pentimento_parameter, kind) == 4);
PENTIMENTO_ASSERT(offsetof(pentimento_parameter, advanced) == 8);
PENTIMENTO_ASSERT(offsetof(pentimento_parameter, choice_count) == 12);
PENTIMENTO_ASSERT(offsetof(pentimento_parameter, hard_min) == 16);
PENTIMENTO_ASSERT(offsetof(pentimento_parameter, hard_max) == 24);
PENTIMENTO_ASSERT(offsetof(pentimento_parameter, soft_min) == 32);
PENTIMENTO_ASSERT(offsetof(pentimento_parameter, soft_max) == 40);
PENTIMENTO_ASSERT(offsetof(pentimento_parameter, step) == 48);
PENTIMENTO_ASSERT(offsetof(pentimento_parameter, default_number) == 56);
PENTIMENTO_ASSERT(offsetof(pentimento_parameter, default_text) == 64);
PENTIMENTO_ASSERT(offsetof(pentimento_parameter, id) == 72);
PENTIMENTO_ASSERT(offsetof(pentimento_parameter, label) == 80);
PENTIMENTO_ASSERT(offsetof(pentimento_parameter, help) == 88);
PENTIMENTO_ASSERT(offsetof(pentimento_parameter, group) == 96);
PENTIMENTO_ASSERT(offsetof(pentimento_parameter, unit) == 104);
PENTIMENTO_ASSERT(offsetof(pentimento_parameter, choices) == 112);
PENTIMENTO_ASSERT(sizeof(pentimento_parameter) == 120);
PENTIMENTO_ASSERT(offsetof(pentimento_plugin, struct_size) == 0);
PENTIMENTO_ASSERT(offsetof(pentimento_plugin, abi) == 4);
PENTIMENTO_ASSERT(offsetof(pentimento_plugin, id) == 8);
PENTIMENTO_ASSERT(offsetof(pentimento_plugin, name) == 16);
PENTIMENTO_ASSERT(offsetof(pentimento_plugin, version) == 24);
PENTIMENTO_ASSERT(offsetof(pentimento_plugin, filter_count) == 32);
PENTIMENTO_ASSERT(offsetof(pentimento_plugin, describe_filter) == 40);
PENTIMENTO_ASSERT(offsetof(pentimento_plugin, describe_parameter) == 48);
PENTIMENTO_ASSERT(offsetof(pentimento_plugin, job_create) == 56);
PENTIMENTO_ASSERT(offsetof(pentimento_plugin, job_destroy) == 64);
PENTIMENTO_ASSERT(offsetof(pentimento_plugin, job_set_number) == 72);
PENTIMENTO_ASSERT(offsetof(pentimento_plugin, job_set_text) == 80);
PENTIMENTO_ASSERT(offsetof(pentimento_plugin, job_state) == 88);
PENTIMENTO_ASSERT(offsetof(pentimento_plugin, job_set_state) == 96);
PENTIMENTO_ASSERT(offsetof(pentimento_plugin, job_render) == 104);
PENTIMENTO_ASSERT(offsetof(pentimento_plugin, job_cancel) == 112);
PENTIMENTO_ASSERT(offsetof(pentimento_plugin, extension) == 120);
PENTIMENTO_ASSERT(sizeof(pentimento_plugin) == 128);
PENTIMENTO_ASSERT(offsetof(pentimento_diagnostics, struct_size) == 0);
PENTIMENTO_ASSERT(offsetof(pentimento_diagnostics, reserved) == 4);
PENTIMENTO_ASSERT(offsetof(pentimento_diagnostics, report) == 8);
PENTIMENTO_ASSERT(sizeof(pentimento_diagnostics) == 16);
PENTIMENTO_ASSERT(offsetof(pentimento_size, width) == 0);
PENTIMENTO_ASSERT(offsetof(pentimento_size, height) == 4);
PENTIMENTO_ASSERT(sizeof(pentimento_size) == 8);
PENTIMENTO_ASSERT(offsetof(pentimento_estimate_request, struct_size) == 0);
PENTIMENTO_ASSERT(offsetof(pentimento_estimate_request, style_count) == 4);
PENTIMENTO_ASSERT(offsetof(pentimento_estimate_request, content) == 8);
PENTIMENTO_ASSERT(offsetof(pentimento_estimate_request, styles) == 16);
PENTIMENTO_ASSERT(sizeof(pentimento_estimate_request) == 24);
PENTIMENTO_ASSERT(offsetof(pentimento_estimate, struct_size) == 0);
PENTIMENTO_ASSERT(offsetof(pentimento_estimate, reserved) == 4);
PENTIMENTO_ASSERT(offsetof(pentimento_estimate, seconds) == 8);
PENTIMENTO_ASSERT(offsetof(pentimento_estimate, bytes) == 16);
PENTIMENTO_ASSERT(sizeof(pentimento_estimate) == 24);
PENTIMENTO_ASSERT(offsetof(pentimento_estimation, struct_size) == 0);
PENTIMENTO_ASSERT(offsetof(pentimento_estimation, reserved) == 4);
PENTIMENTO_ASSERT(offsetof(pentimento_estimation, estimate) == 8);
PENTIMENTO_ASSERT(sizeof(pentimento_estimation) == 16);
PENTIMENTO_ASSERT(offsetof(pentimento_presets, struct_size) == 0);
PENTIMENTO_ASSERT(offsetof(pentimento_presets, reserved) == 4);
PENTIMENTO_ASSERT(offsetof(pentimento_presets, parameter) == 8);
PENTIMENTO_ASSERT(offsetof(pentimento_presets, value) == 16);
PENTIMENTO_ASSERT(sizeof(pentimento_presets) == 24);
#endif
#undef PENTIMENTO_ASSERT

#endif // PENTIMENTO_H
