#pragma once

#include "autoexec/output_rules.hpp"
#include "autoexec/process.hpp"

#include <boost/json/value.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace autoexec::programs {

/// The outcome of a program. Texts may contain the program's own words, unredacted, of any length.
struct ProgramVerdict {
    bool completed = false;
    std::string code;     ///< `agent_error`, `no_result`, `auth` …; empty if completed.
    std::string message;  ///< For the user.
    std::optional<std::chrono::milliseconds> retry_after;
    bool cut = false;  ///< Its output ended in the middle of an event: it may have succeeded.
};

/// Reads what a program reports in JSON objects on lines of its standard output. Other lines are
/// skipped, and so are lines longer than 16 MiB, which bounds the memory.
class OutputReader {
public:
    virtual ~OutputReader() = default;

    virtual void feed(OutputStream stream, std::string_view chunk) = 0;

    /// True if the program has reported its outcome or waits for an answer that no person will
    /// give, and no task of its own runs in the background.
    [[nodiscard]] virtual bool concluded() const noexcept = 0;
    /// True if it has reported its outcome, whatever still runs in the background.
    [[nodiscard]] virtual bool reported() const noexcept { return concluded(); }
    /// The last troubles cannot get better by waiting.
    [[nodiscard]] virtual bool hopeless() const noexcept { return false; }
    /// How a refused tool can be permitted, for messages.
    [[nodiscard]] virtual std::string denied_message() const = 0;

    /// The outcome of a program that did start; nullopt: its exit code decides. Call it last.
    [[nodiscard]] virtual std::optional<ProgramVerdict> verdict(const ProcessExit& exit) = 0;

    /// Why the program does not come forward, if it has said so since its last success:
    /// `retrying: 401 authentication_failed`.
    [[nodiscard]] const std::optional<ProgramVerdict>& trouble() const noexcept { return trouble_; }
    /// The last event in a line for people; empty: none yet.
    [[nodiscard]] const std::string& shown() const noexcept { return shown_; }
    [[nodiscard]] double percentage() const noexcept { return percentage_; }
    [[nodiscard]] const std::string& session() const noexcept { return session_; }
    [[nodiscard]] bool has_events() const noexcept { return has_events_; }
    [[nodiscard]] const Usage& usage() const noexcept { return usage_; }
    /// A tool that the program was not allowed to use, although it ended its work; empty: none.
    [[nodiscard]] const std::string& denied() const noexcept { return denied_; }

protected:
    /// Calls `read_message` for each line that `chunk` completes.
    void feed_lines(std::string_view chunk);
    /// The last line may lack its newline.
    void read_line();
    virtual void read_message(const boost::json::value& message) = 0;

    [[nodiscard]] bool skipped_a_line() const noexcept { return skipped_a_line_; }
    [[nodiscard]] const std::string& open_line() const noexcept { return line_; }

    std::optional<ProgramVerdict> trouble_;
    std::string shown_;
    double percentage_ = 0;
    std::string session_;
    std::string denied_;
    Usage usage_;

private:
    std::string line_;
    bool skips_line_ = false;  ///< The line is too long; its rest is skipped.
    bool skipped_a_line_ = false;
    bool has_events_ = false;
};

}  // namespace autoexec::programs
