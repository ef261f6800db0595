#pragma once

#include "agent/acp_driver.hpp"
#include "agent/output_log.hpp"
#include "agent/permission_audit.hpp"
#include "async/short_names.hpp"
#include "autoexec/agent.hpp"
#include "handoff/agent_mailbox.hpp"
#include "programs/event_reader.hpp"

#include <boost/asio/awaitable.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace autoexec::agent {

/// How a program of a command ended.
struct ProgramResult {
    bool completed = false;
    CommandError error;
    std::string outcome;  ///< Empty: that of `completed`.
    std::optional<int> exit_code;
    std::optional<int> signal;
    bool append_last_line = false;  ///< Of the output, to the error.
};

/// A program of a command, before it is started.
struct Program {
    std::vector<std::string> argv;
    std::string input;
    const OutputRules* rules;
    std::string new_session{};  ///< The id that its session gets; empty: it has its own.
    bool resumes_session = false;
    /// It is driven by the Agent Client Protocol instead of being read by rules.
    std::optional<acp::Task> task{};
};

/// One claimed command, from its first to its last status. On the agent's strand. One class, since
/// whatever its program, its executor or its agent does can end it, and must be in the last status.
class CommandJob : public std::enable_shared_from_this<CommandJob> {
public:
    /// `options` must outlive it.
    CommandJob(const AgentOptions& options, std::string agent_id, std::filesystem::path worktree,
               std::unique_ptr<handoff::AgentMailbox> mailbox, handoff::AgentMailbox::Found found,
               std::unique_ptr<Timer> alarm);

    /// Runs `agent`'s commands, reports, and releases the claim.
    static asio::awaitable<void> run(std::shared_ptr<CommandJob> self,
                                     const AgentDefinition& agent);

    /// Reports a command that cannot be run.
    void refuse(std::string code, std::string message);

    /// The agent is being stopped.
    void stop();
    /// Something in the worktree may have changed.
    void wake() { alarm_->wake(); }

private:
    /// Derives the outcome from the running program's output.
    struct OutcomeSource {
        std::unique_ptr<programs::OutputReader> reader = std::make_unique<programs::EventReader>();
        std::string new_session{};  ///< As of the program.
        bool resumes_session = false;
        acp::Client* client = nullptr;            ///< The reader, if it is one.
        std::unique_ptr<AcpDriver> driver{};      ///< While the program runs.
        std::optional<time_point> reported_at{};  ///< Tasks of its own may still run.
        std::optional<time_point> concluded_at{};
        /// It was stopped because it kept running after its outcome, or tried again in vain; later
        /// output is ignored.
        bool closed = false;
    };

    /// What the programs reported besides their outcome.
    struct Report {
        std::optional<Usage> usage;
        std::string session;
        std::string denied;  ///< A tool that was refused, as a sentence.
        bool tree_unchanged = false;
        std::optional<CommandError> cause;
        std::int64_t prompts = 0;  ///< How many of a person were taken.
    };

    /// What the running program asks a person.
    struct OpenQuestion {
        Question question;  ///< As the status has it.
        std::string asked;  ///< The id that the program has given it.
        time_point since;
    };

    asio::awaitable<void> run_one(const AgentDefinition& definition, Program program,
                                  ProgramResult& result);
    enum class Wait {
        ended,
        stopped,
        failed,  ///< Memory has run out.
    };

    bool begin(const AgentDefinition& definition, Program program, ProcessSpec& spec,
               ProgramResult& result);
    void attach(Process& process);
    asio::awaitable<Wait> wait_for(Process& process, const AgentDefinition& definition,
                                   ProcessExit& exit);
    asio::awaitable<bool> watch(Process& process, const AgentDefinition& definition,
                                const bool& ended);
    void accept_output(OutputStream stream, std::string_view chunk);
    void note_conclusion();
    void stop_process(Process& process);
    void follow_question();
    void read_message(Process& process);
    void take_prompts(acp::Client& client, const protocol::AnswerFile& file);
    void answer_question(Process& process, const std::optional<protocol::AnswerFile>& file);
    std::string reason_to_stop(bool late);
    /// The limit that the program has reached, as a sentence; empty: none.
    [[nodiscard]] std::string over_budget() const;
    [[nodiscard]] std::string session() const;
    void classify(const ProcessExit& exit, const std::string& program,
                  const AgentDefinition& definition, ProgramResult& result);
    [[nodiscard]] bool has_expected_artifacts() const;
    void note_report(const ProcessExit& exit);
    [[nodiscard]] std::string for_people(std::string text) const;
    [[nodiscard]] Progress progress() const;
    void write_running();
    [[nodiscard]] AgentStatus last_status(const ProgramResult& result);
    void finish(const AgentStatus& last, error_code ec);
    [[nodiscard]] AgentStatus status(ReportedStatus word);
    [[nodiscard]] bool legacy() const noexcept { return found_.command.attempt_id.empty(); }

    const AgentOptions& options_;
    const std::string agent_id_;
    std::string agent_;  ///< The name of the agent that runs it.
    WorkOptions work_;   ///< As of the claim.
    std::filesystem::path worktree_;
    std::unique_ptr<handoff::AgentMailbox> mailbox_;
    handoff::AgentMailbox::Found found_;
    std::string redacted_;  ///< The command's text.
    std::unique_ptr<Timer> alarm_;
    OutputLog output_;
    OutcomeSource outcome_source_;
    Report report_;
    PermissionAudit permissions_;
    time_point started_;
    std::chrono::system_clock::time_point started_at_;
    std::string step_;                  ///< `1/2`
    std::optional<Progress> progress_;  ///< As the program reports it.
    std::optional<Question> asked_;     ///< The same.
    std::optional<OpenQuestion> open_question_;
    int questions_ = 0;
    std::size_t received_ = 0;  ///< Bytes of output.
    std::int64_t sequence_ = 0;
    std::int64_t pid_ = 0;
    std::string stop_reason_;  ///< cancelled, timeout, agent_stopped …; empty: not stopped.
};

}  // namespace autoexec::agent
