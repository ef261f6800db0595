#pragma once

#include "autoexec/agents_file.hpp"
#include "autoexec/file.hpp"
#include "autoexec/process.hpp"

#include <boost/json/object.hpp>

#include <optional>
#include <span>
#include <string>
#include <string_view>

/// Reads the outcome of a command from the output of its agent program. Pure.
namespace autoexec::agent {

[[nodiscard]] std::span<const std::string_view> outcome_rule_names();
[[nodiscard]] std::optional<OutcomeRule> outcome_rule_named(std::string_view name);
[[nodiscard]] std::string_view name_of(OutcomeRule rule);

struct AgentVerdict {
    bool completed = false;
    /// `agent_error`, `no_result`, `permission_needed`, `question_asked`; empty if completed.
    std::string code;
    std::string
        message;  ///< For the user; may contain the agent's own text, unredacted, of any length.
};

/// Parses the output of one program and determines its outcome. Lines that are not events of that
/// program are skipped, and so are lines longer than 4 MiB, which bounds the memory.
class OutcomeParser {
public:
    explicit OutcomeParser(OutcomeRule rule) : rule_(rule) {}

    void feed(OutputStream stream, std::string_view chunk);

    /// True if the program has reported its outcome or waits for an answer that no person will
    /// give. An event of further work resets it.
    [[nodiscard]] bool concluded() const noexcept { return concluded_; }

    /// The outcome of a program that did start; nullopt: its exit code decides. Call it last.
    [[nodiscard]] std::optional<AgentVerdict> verdict(const ProcessExit& exit);

private:
    void parse_line();
    void read_claude(const boost::json::object& event);
    void read_codex(const boost::json::object& event);
    void conclude(AgentVerdict outcome);

    OutcomeRule rule_;
    std::string line_;
    bool skips_line_ = false;  ///< The line is too long; its rest is skipped.
    bool skipped_a_line_ = false;
    std::optional<AgentVerdict> verdict_;
    std::string refused_;  ///< What Codex was not allowed to do in this turn.
    bool concluded_ = false;
};

}  // namespace autoexec::agent
