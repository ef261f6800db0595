#pragma once

#include "agent/outcome.hpp"
#include "agent/output_log.hpp"
#include "autoexec/agent.hpp"
#include "handoff/agent_mailbox.hpp"

#include <boost/asio/awaitable.hpp>

#include <memory>
#include <string>
#include <vector>

namespace autoexec::agent {

/// What all commands of one agent share.
struct JobContext {
    const AgentOptions& options;
    std::string agent_id;
    std::filesystem::path project_root;
};

/// One claimed command, from its first to its last status. On the agent's strand.
class Job : public std::enable_shared_from_this<Job> {
public:
    Job(JobContext context, std::filesystem::path worktree,
        std::unique_ptr<handoff::AgentMailbox> box, handoff::AgentMailbox::Found found,
        std::unique_ptr<Timer> alarm);

    /// Runs `definition`'s commands, reports, and gives up the claim.
    static asio::awaitable<void> run(std::shared_ptr<Job> self, const AgentDefinition& definition);

    /// Reports a command that can't be run at all.
    void refuse(std::string code, std::string message);

    /// The agent is being stopped.
    void stop();
    /// Something in the worktree may have changed.
    void wake() { alarm_->wake(); }

private:
    struct ProgramResult {
        bool completed = false;
        CommandError error;
        std::string outcome;
        std::optional<int> exit_code;
        std::optional<int> signal;
        bool ends_with_last_words = false;
    };

    /// What the running program says of its own end.
    struct OutcomeSource {
        OutcomeParser judge;
        std::optional<time_point> concluded_at;
        bool closed = false;  ///< It was stopped because it went on; nothing more counts.
    };

    asio::awaitable<void> run_one(const AgentDefinition& definition, std::vector<std::string> argv,
                                  OutcomeRule rule, ProgramResult& verdict);
    asio::awaitable<bool> watch(Process& process, const AgentDefinition& definition,
                                const bool& ended);
    void take(OutputStream stream, std::string_view chunk);
    std::string reason_to_stop(bool late);
    [[nodiscard]] OutcomeRule rule_of(const AgentDefinition& definition, std::size_t program) const;
    [[nodiscard]] time_point deadline(const AgentDefinition& definition) const;
    bool make_programs(const AgentDefinition& definition,
                       std::vector<std::vector<std::string>>& programs,
                       ProgramResult& verdict) const;
    bool make_spec(const AgentDefinition& definition, ProcessSpec& spec,
                   ProgramResult& verdict) const;
    void judge(const ProcessExit& exit, const std::string& program,
               const AgentDefinition& definition, ProgramResult& verdict);
    void judge_by_exit(const ProcessExit& exit, const std::string& program,
                       ProgramResult& verdict) const;
    void judge_stopped(ProgramResult& verdict) const;
    void write_running();
    [[nodiscard]] std::string last_status(const ProgramResult& verdict);
    void finish(const ProgramResult& verdict, error_code ec);
    void record(const ProgramResult& verdict) const;
    [[nodiscard]] AgentStatus status(ReportedStatus word);
    [[nodiscard]] bool legacy() const noexcept { return found_.command.attempt_id.empty(); }

    JobContext context_;
    WorkOptions work_;  ///< As they were when the command was taken.
    std::filesystem::path worktree_;
    std::unique_ptr<handoff::AgentMailbox> box_;
    handoff::AgentMailbox::Found found_;
    std::unique_ptr<Timer> alarm_;
    OutputLog output_;
    OutcomeSource hearing_{OutcomeParser(OutcomeRule::exit_code), {}, false};
    time_point started_;
    std::string started_at_;
    std::string step_;  ///< `1/2`
    std::int64_t sequence_ = 0;
    std::int64_t pid_ = 0;
    std::string stop_reason_;  ///< cancelled, timeout, agent_stopped …; empty: not stopped.
};

}  // namespace autoexec::agent
