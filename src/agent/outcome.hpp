#pragma once

#include "autoexec/agents_file.hpp"
#include "autoexec/file.hpp"
#include "autoexec/process.hpp"

#include <boost/json/object.hpp>

#include <optional>
#include <span>
#include <string>
#include <string_view>

/// What agent programs say about their own end. Pure.
namespace autoexec::agent {

[[nodiscard]] std::span<const std::string_view> outcome_rule_names();
[[nodiscard]] std::optional<OutcomeRule> outcome_rule_named(std::string_view name);
[[nodiscard]] std::string_view name_of(OutcomeRule rule);

struct Outcome {
    bool completed = false;
    /// `agent_error`, `no_result`, `permission_needed`, `question_asked`; empty if completed.
    std::string code;
    std::string
        message;  ///< For a person; with the agent's own words, not redacted, of any length.
};

/// Reads what one program prints and tells how it ended. What is no event of that program is
/// passed over, and so are lines of more than 4 MiB: that much memory, and no more, is held.
class OutcomeParser {
public:
    explicit OutcomeParser(OutcomeRule rule) : rule_(rule) {}

    void feed(OutputStream stream, std::string_view chunk);

    /// The program has said how it ended, or asks what nobody will answer. An event of further work
    /// takes that back.
    [[nodiscard]] bool concluded() const noexcept { return concluded_; }

    /// How it ended, for a program that did start. Nothing: its exit code tells. Called last.
    [[nodiscard]] std::optional<Outcome> verdict(const ProcessExit& exit);

private:
    void take_line();
    void read_claude(const boost::json::object& event);
    void read_codex(const boost::json::object& event);
    void conclude(Outcome outcome);

    OutcomeRule rule_;
    std::string line_;
    bool skips_line_ = false;  ///< The line is too long; the rest of it is passed over.
    bool skipped_a_line_ = false;
    std::optional<Outcome> said_;
    std::string refused_;  ///< What Codex was not allowed to do in this turn.
    bool concluded_ = false;
};

}  // namespace autoexec::agent
