#pragma once

#include "cli/flags.hpp"
#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "text/text.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

/// What the source of each subcommand needs.
namespace autoexec::cli {

/// What a subcommand does once its options are parsed.
struct SubcommandBody {
    std::function<int()> run;                     ///< Returns the exit code.
    std::vector<std::string>* program = nullptr;  ///< Receives the words after `--`; null: refused.
};

/// A subcommand of the program. Its source defines one; `subcommands.cpp` lists all.
struct Subcommand {
    /// `workflow run`: also the path of its source; `resume` is in `pause.cpp`.
    const char* words;
    const char* help;
    /// Adds its options to `app`; the body owns their values.
    std::function<SubcommandBody(CLI::App& app)> define;
};

/// `define` adds the options, and `run` gets their values. A member `program` of the options
/// receives the words after `--`.
template <class Options>
Subcommand subcommand(const char* words, const char* help, void (*define)(CLI::App&, Options&),
                      int (*run)(const Options&))
{
    return {words, help, [define, run](CLI::App& app) {
                const auto options = std::make_shared<Options>();
                define(app, *options);
                SubcommandBody body{[run, options] { return run(*options); }};
                if constexpr (requires { options->program; }) body.program = &options->program;
                return body;
            }};
}

struct DefinedSubcommand {
    const char* words;
    CLI::App* app;
    SubcommandBody body;
};

/// Defines all of them below `app`.
std::vector<DefinedSubcommand> define_subcommands(CLI::App& app);

}  // namespace autoexec::cli
