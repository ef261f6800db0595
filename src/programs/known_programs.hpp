#pragma once

#include "autoexec/output_rules.hpp"

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// The agent programs that autoexec knows: how to call them unattended, and how to read their
/// output. To add one, add an entry to `known_programs.cpp`, in the words of the agents file.
namespace autoexec::programs {

/// Where a program may have its key or login.
struct SignIn {
    std::vector<std::string> variables;  ///< One of them is enough.
    std::string folder_variable;  ///< Names the folder of `files`; if it is not set, `folder`.
    std::string folder;           ///< Below HOME.
    /// Their names. After a blank, a JSON pointer to a value, or a word, that it must contain.
    std::vector<std::string> files;
    std::string command;   ///< Signs in.
    bool certain = false;  ///< There is no other place: without any of these, it cannot work.
};

struct KnownProgram {
    std::string name;
    std::string title;     ///< For people: `Claude Code`.
    std::string compared;  ///< The version that the entry was compared with; `unverified`: none.
    std::string command;
    std::string acp;  ///< The command with `driver: acp`; empty: it does not speak the protocol.
    std::string acp_mode;  ///< In which it asks for permission; empty: it has no modes for that.
    std::string input;     ///< `stdin` of the agent; empty: nothing is written.
    // As in the agents file; empty: it has no such option.
    std::string resume;
    std::string new_session;
    std::string budget;
    bool accept_argv = false;
    std::vector<std::pair<std::string, std::string>> environment;
    SignIn sign_in;
    OutputRules outcome;
    std::string notes;  ///< For the user, in lines.
};

/// Parsed once.
[[nodiscard]] std::span<const KnownProgram> known_programs();

/// Returns null if the name is unknown.
[[nodiscard]] const KnownProgram* find_program(std::string_view name);

/// The rules of that name: `exit_code` or that of a program. Null if the name is unknown.
[[nodiscard]] const OutputRules* find_output_rules(std::string_view name);

/// All names that `find_output_rules` knows.
[[nodiscard]] std::span<const std::string_view> output_rule_names();

}  // namespace autoexec::programs
