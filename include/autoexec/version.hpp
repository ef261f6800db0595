#pragma once

// The build system reads the version from here.
#define AUTOEXEC_VERSION_MAJOR 0
#define AUTOEXEC_VERSION_MINOR 1
#define AUTOEXEC_VERSION_PATCH 0
#define AUTOEXEC_VERSION "0.1.0"
