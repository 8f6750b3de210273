/* A host of a page: renders PPM pictures with a Pentimento plugin, or lists what the plugin offers.
 *
 *     make
 *     ./host LIBRARY describe
 *     ./host LIBRARY CONTENT.ppm STYLE.ppm OUT.ppm [id=value]...
 *
 * It needs nothing but ../../host-sdk/include/pentimento.h and dlopen; ../../docs/hosts.md tells the story behind it.
 * Ctrl-C stops early and keeps the best picture so far. Exit status: 0 done, 1 failed, 2 used wrongly.
 */
#include <dlfcn.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pentimento.h"

static volatile sig_atomic_t interrupted = 0;

static void on_interrupt(int number) {
    (void)number;
    interrupted = 1;
}

/* Prints one line and ends the program. */
static void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("host: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

static const pentimento_plugin *load(const char *path) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        fail("cannot load the library: %s", dlerror());
    void *symbol = dlsym(library, PENTIMENTO_ENTRY_SYMBOL);
    if (!symbol)
        fail("%s is not a Pentimento plugin: it has no symbol %s", path, PENTIMENTO_ENTRY_SYMBOL);
    pentimento_entry_function entry;
    memcpy(&entry, &symbol, sizeof entry); /* ISO C has no cast from an object pointer to a function pointer. */
    const pentimento_plugin *plugin = entry(PENTIMENTO_ABI);
    if (!plugin || plugin->abi != PENTIMENTO_ABI || plugin->struct_size < sizeof(pentimento_plugin))
        fail("%s does not speak ABI %d", path, PENTIMENTO_ABI);
    return plugin; /* The library stays loaded: there is no dlclose. */
}

static pentimento_filter filter_at(const pentimento_plugin *plugin, uint32_t index) {
    pentimento_error error = {.struct_size = sizeof error};
    pentimento_filter filter = {.struct_size = sizeof filter};
    if (plugin->describe_filter(index, &filter, &error) < 0)
        fail("filter %u: %s", (unsigned)index, error.text);
    return filter;
}

static void describe(const pentimento_plugin *plugin) {
    printf("%s %s\n", plugin->name, plugin->version);
    for (uint32_t i = 0; i < plugin->filter_count(); i++) {
        pentimento_filter filter = filter_at(plugin, i);
        printf("\n%s (%s/%s): %s\n", filter.id, filter.menu, filter.label, filter.help);
        for (uint32_t j = 0; j < filter.parameter_count; j++) {
            pentimento_error error = {.struct_size = sizeof error};
            pentimento_parameter parameter = {.struct_size = sizeof parameter};
            if (plugin->describe_parameter(filter.id, j, &parameter, &error) < 0)
                fail("parameter %u: %s", (unsigned)j, error.text);
            printf("  %s=%s  %s", parameter.id, parameter.default_text, parameter.help);
            if (parameter.kind == PENTIMENTO_KIND_FLOAT || parameter.kind == PENTIMENTO_KIND_INTEGER)
                printf(" [%g to %g%s%s]", parameter.hard_min, parameter.hard_max, *parameter.unit ? " " : "",
                       parameter.unit);
            for (uint32_t k = 0; k < parameter.choice_count; k++)
                printf("%s%s%s", k ? ", " : " [", parameter.choices[k].id, k + 1 < parameter.choice_count ? "" : "]");
            putchar('\n');
        }
    }
}

/* The next number of a PPM header; comments reach from '#' to the end of the line. */
static unsigned long header_number(FILE *file, const char *path) {
    int c = fgetc(file);
    while (c == '#' || c == ' ' || c == '\t' || c == '\r' || c == '\n') {
        if (c == '#')
            while (c != '\n' && c != EOF)
                c = fgetc(file);
        c = fgetc(file);
    }
    unsigned long number = 0;
    int digits = 0;
    for (; c >= '0' && c <= '9' && digits < 9; c = fgetc(file), digits++)
        number = 10 * number + (unsigned long)(c - '0');
    if (!digits || (c != ' ' && c != '\t' && c != '\r' && c != '\n'))
        fail("%s: the PPM header is damaged", path);
    return number;
}

/* A view of 8-bit sRGB pixels that lie without gaps. */
static pentimento_image view(uint32_t width, uint32_t height) {
    pentimento_image image = {
        .struct_size = sizeof image,
        .width = width,
        .height = height,
        .format = PENTIMENTO_FORMAT_U8,
        .layout = PENTIMENTO_LAYOUT_RGB,
        .transfer = PENTIMENTO_TRANSFER_SRGB,
        .row_stride = 3 * (int64_t)width,
        .pixels = calloc(height, 3 * (size_t)width),
    };
    if (!image.pixels)
        fail("not enough memory for a picture of %lu x %lu", (unsigned long)width, (unsigned long)height);
    return image;
}

static pentimento_image read_ppm(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file)
        fail("%s cannot be opened", path);
    if (fgetc(file) != 'P' || fgetc(file) != '6')
        fail("%s is not a binary PPM picture (P6)", path);
    unsigned long width = header_number(file, path);
    unsigned long height = header_number(file, path);
    if (header_number(file, path) != 255)
        fail("%s: the largest sample must be 255", path);
    if (!width || !height || width > 65535 || height > 65535)
        fail("%s: %lu x %lu is no size for a picture", path, width, height);
    pentimento_image image = view((uint32_t)width, (uint32_t)height);
    if (fread(image.pixels, (size_t)image.row_stride, height, file) != height)
        fail("%s ends before its last pixel", path);
    fclose(file);
    return image;
}

static void write_ppm(const char *path, const pentimento_image *image) {
    FILE *file = fopen(path, "wb");
    if (!file)
        fail("%s cannot be written", path);
    int written = fprintf(file, "P6\n%lu %lu\n255\n", (unsigned long)image->width, (unsigned long)image->height) > 0 &&
                  fwrite(image->pixels, (size_t)image->row_stride, image->height, file) == image->height;
    if (fclose(file) || !written)
        fail("%s could not be written in full", path);
}

static int32_t on_progress(void *context, const pentimento_progress *progress) {
    (void)context;
    fprintf(stderr, "\r%3.0f %%  %s, level %u of %u, step %u of %u", 100 * progress->fraction, progress->stage,
            progress->level + 1, progress->level_count, progress->step + 1, progress->step_count);
    if (!isnan(progress->seconds_left))
        fprintf(stderr, ", %.0f s left", progress->seconds_left);
    fputs("\033[K", stderr);
    return interrupted ? PENTIMENTO_STOP : PENTIMENTO_CONTINUE;
}

static void on_log(void *context, int32_t level, const char *message) {
    (void)context;
    if (level >= PENTIMENTO_LOG_WARNING)
        fprintf(stderr, "\rwarning: %s\033[K\n", message);
}

int main(int count, char **arguments) {
    int describing = count == 3 && !strcmp(arguments[2], "describe");
    if (!describing && count < 5) {
        fputs("usage: host LIBRARY describe\n"
              "       host LIBRARY CONTENT.ppm STYLE.ppm OUT.ppm [id=value]...\n", stderr);
        return 2;
    }
    const pentimento_plugin *plugin = load(arguments[1]);
    if (describing) {
        describe(plugin);
        return 0;
    }

    pentimento_error error = {.struct_size = sizeof error};
    pentimento_job *job = NULL;
    if (plugin->job_create(filter_at(plugin, 0).id, &job, &error) < 0)
        fail("%s", error.text);
    for (int i = 5; i < count; i++) {
        char *equals = strchr(arguments[i], '=');
        if (!equals)
            fail("\"%s\" is not a setting of the form id=value", arguments[i]);
        *equals = '\0';
        if (plugin->job_set_text(job, arguments[i], equals + 1, &error) < 0)
            fail("%s", error.text);
    }

    pentimento_image content = read_ppm(arguments[2]);
    pentimento_image style_image = read_ppm(arguments[3]);
    pentimento_image output = view(content.width, content.height);
    pentimento_style style = {.struct_size = sizeof style, .image = &style_image, .weight = 1.0};
    pentimento_host host = {
        .struct_size = sizeof host, .abi = PENTIMENTO_ABI, .progress = on_progress, .log = on_log};
    pentimento_render_request request = {
        .struct_size = sizeof request,
        .style_count = 1,
        .content = &content,
        .styles = &style,
        .output = &output,
        .host = &host,
    };
    signal(SIGINT, on_interrupt);
    pentimento_status status = plugin->job_render(job, &request, &error);
    fputc('\n', stderr);
    if (status < 0)
        fail("%s", error.text);
    write_ppm(arguments[4], &output);

    plugin->job_destroy(job);
    free(content.pixels);
    free(style_image.pixels);
    free(output.pixels);
    return 0;
}
