#pragma once

#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace autoexec::cli {

/// What a subcommand does once its options are parsed.
struct SubcommandBody {
    std::function<int()> run;                     ///< Returns the exit code.
    std::vector<std::string>* program = nullptr;  ///< Receives the words after `--`; null: refused.
};

/// A subcommand of the program. Its source defines one; `subcommands.cpp` lists all.
struct Subcommand {
    const char* words;  ///< `workflow run`: also the path of its source.
    const char* help;
    /// Adds its options to `app`; the body owns their values.
    SubcommandBody (*define)(CLI::App& app);
};

struct DefinedSubcommand {
    CLI::App* app;
    SubcommandBody body;
};

/// Defines all of them below `app`.
std::vector<DefinedSubcommand> define_subcommands(CLI::App& app);

}  // namespace autoexec::cli
