#pragma once

#include "autoexec/file.hpp"
#include "autoexec/output_rules.hpp"
#include "autoexec/process.hpp"

#include <boost/json/object.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

/// What is known about agent programs: how they are called, and how their output is read. Pure.
namespace autoexec::programs {

/// The outcome of a program. Texts may contain the program's own words, unredacted, of any length.
struct ProgramVerdict {
    bool completed = false;
    std::string code;     ///< `agent_error`, `no_result`, `auth` …; empty if completed.
    std::string message;  ///< For the user.
    std::optional<std::chrono::milliseconds> retry_after;
};

/// Reads the events of one program. Lines that are not JSON objects are skipped, and so are lines
/// longer than 4 MiB, which bounds the memory. `rules` must outlive it.
class EventReader {
public:
    /// Exit codes decide.
    EventReader() = default;
    explicit EventReader(const OutputRules& rules) : rules_(&rules) {}

    void feed(OutputStream stream, std::string_view chunk);

    /// True if the program has reported its outcome or waits for an answer that no person will
    /// give, and no task of its own runs in the background. An event of further work resets it.
    [[nodiscard]] bool concluded() const noexcept { return verdict_ && !working_ && tasks_ <= 0; }

    /// Why the program does not come forward, if it has said so since its last success:
    /// `retrying: 401 authentication_failed`.
    [[nodiscard]] const std::optional<ProgramVerdict>& trouble() const noexcept { return trouble_; }
    /// The last two troubles in a row cannot get better by waiting.
    [[nodiscard]] bool hopeless() const noexcept { return hopeless_count_ >= 2; }

    /// The last event in a line for people; empty: none yet.
    [[nodiscard]] const std::string& shown() const noexcept { return shown_; }
    [[nodiscard]] const std::string& session() const noexcept { return session_; }
    [[nodiscard]] const Usage& usage() const noexcept { return usage_; }
    /// A tool that the program was not allowed to use, although it ended its work; empty: none.
    [[nodiscard]] const std::string& denied() const noexcept { return denied_; }

    /// The outcome of a program that did start; nullopt: its exit code decides. Call it last.
    [[nodiscard]] std::optional<ProgramVerdict> verdict(const ProcessExit& exit);

private:
    void read_line();
    void feed_errors(std::string_view chunk);
    void read_event(const boost::json::value& event);
    void apply(const EventRule& rule, const boost::json::value& event);
    void add_usage(const UsageFields& fields, const boost::json::value& event);
    [[nodiscard]] ProgramVerdict failure(const EventRule& rule,
                                         const boost::json::value& event) const;
    [[nodiscard]] std::string words_of(const EventRule& rule,
                                       const boost::json::value& event) const;
    [[nodiscard]] ProgramVerdict no_result(bool cut) const;
    [[nodiscard]] std::optional<ProgramVerdict> verdict_of_exit(int exit_code) const;

    const OutputRules* rules_ = nullptr;
    std::string line_;
    bool skips_line_ = false;  ///< The line is too long; its rest is skipped.
    bool skipped_a_line_ = false;
    std::string error_line_;    ///< Of standard error, incomplete.
    std::string telling_line_;  ///< The last line of standard error that tells `telling_code_`.
    std::string_view telling_code_;
    std::optional<ProgramVerdict> verdict_;
    bool kept_ = false;     ///< The verdict is not replaced by a success.
    bool working_ = false;  ///< It has continued since the verdict.
    int tasks_ = 0;
    std::optional<ProgramVerdict> trouble_;
    int hopeless_count_ = 0;
    std::string shown_;
    std::string session_;
    std::string denied_;
    Usage usage_;
};

/// The outcome of a program that is stopped because it tries again in vain.
[[nodiscard]] ProgramVerdict hopeless_verdict(const OutputRules& rules,
                                              const ProgramVerdict& trouble);

/// Tools that were refused, as a sentence with what to do about it.
[[nodiscard]] std::string denied_message(const OutputRules& rules, std::string_view denied);

}  // namespace autoexec::programs
