#pragma once

#include "autoexec/file.hpp"
#include "autoexec/output_rules.hpp"
#include "autoexec/process.hpp"
#include "programs/output_reader.hpp"

#include <optional>
#include <string>
#include <string_view>

/// What is known about agent programs: how they are called, and how their output is read. Pure.
namespace autoexec::programs {

/// Reads the events of one program by rules, which must outlive it.
class EventReader final : public OutputReader {
public:
    /// Exit codes decide.
    EventReader() = default;
    explicit EventReader(const OutputRules& rules) : rules_(&rules) {}

    void feed(OutputStream stream, std::string_view chunk) override;

    /// An event of further work resets it.
    [[nodiscard]] bool concluded() const noexcept override
    {
        return verdict_ && !working_ && tasks_ == 0;
    }
    [[nodiscard]] bool reported() const noexcept override { return verdict_ && !working_; }
    /// The last two troubles in a row.
    [[nodiscard]] bool hopeless() const noexcept override { return hopeless_count_ >= 2; }
    [[nodiscard]] std::string denied_message() const override;
    [[nodiscard]] std::optional<ProgramVerdict> verdict(const ProcessExit& exit) override;

private:
    void feed_errors(std::string_view chunk);
    void read_message(const boost::json::value& event) override;
    void apply(const EventRule& rule, const boost::json::value& event);
    void add_usage(const UsageFields& fields, const boost::json::value& event);
    [[nodiscard]] ProgramVerdict failure(const EventRule& rule,
                                         const boost::json::value& event) const;
    [[nodiscard]] std::string words_of(const EventRule& rule,
                                       const boost::json::value& event) const;
    [[nodiscard]] ProgramVerdict no_result(bool cut) const;
    [[nodiscard]] std::optional<ProgramVerdict> verdict_of_exit(int exit_code) const;

    const OutputRules* rules_ = nullptr;
    std::string error_line_;    ///< Of standard error, incomplete.
    std::string telling_line_;  ///< The last line of standard error that tells `telling_code_`.
    std::string_view telling_code_;
    std::optional<ProgramVerdict> verdict_;
    bool kept_ = false;     ///< The verdict is not replaced by a success.
    bool working_ = false;  ///< It has continued since the verdict.
    int tasks_ = 0;
    int hopeless_count_ = 0;
};

/// The outcome of a program that is stopped because it tries again in vain.
[[nodiscard]] ProgramVerdict hopeless_verdict(const OutputRules& rules,
                                              const ProgramVerdict& trouble);

}  // namespace autoexec::programs
