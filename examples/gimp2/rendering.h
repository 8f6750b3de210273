// A render on a thread of its own, which tells the main loop how it goes.
//
// The thread touches neither GTK nor GIMP: what it has to say is posted to the main loop, and of its reports only the
// newest is kept until the main loop has time for it.
#pragma once

#include "styles.h"

// How far a render has come.
typedef struct {
    double fraction;
    double seconds_left;  // NaN while unknown
    char stage[64];       // in English, as the plugin says it
    GdkPixbuf *picture;   // the newest that there was, or NULL
} Report;

// What came of it. The thread made it; the main loop gets it, and it is freed after the call.
typedef struct {
    pentimento_status status;
    Picture *painted;      // NULL unless OK or STOPPED
    GPtrArray *warnings;   // texts
    GError *failure;       // or NULL
} Outcome;

// Whom the main loop calls, each with `data`. NULL for what is not wanted.
typedef struct {
    // Once, before it paints: what painting a canvas of `canvas_size` would take, or why that cannot be told.
    void (*estimated)(const pentimento_estimate *estimate, const char *failure, gpointer data);
    void (*reported)(const Report *report, gpointer data);
    // Once, at the end.
    void (*ended)(Outcome *outcome, gpointer data);
    gpointer data;
    pentimento_size canvas_size;
} Watch;

typedef struct Rendering Rendering;

// Begins one, with settings as `settings_job` reads them. It is freed by itself, after it has told its end.
Rendering *rendering_start(const pentimento_plugin *plugin, const char *settings, Picture *content,
                           const Styles *styles, const Watch *watch);

// Asks it to end, PENTIMENTO_STOP or PENTIMENTO_CANCEL. It does within one evaluation of the network.
void rendering_end(Rendering *rendering, int how);

// Cancels it, and nobody is told of it any more.
void rendering_abandon(Rendering *rendering);

// Waits for all threads. To be called before the process ends.
void rendering_finish_all(void);
