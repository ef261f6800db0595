#pragma once

#include "acp/permissions.hpp"
#include "acp/session_settings.hpp"
#include "programs/output_reader.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// The client side of the Agent Client Protocol, version 1: https://agentclientprotocol.com. Pure:
/// bytes of the program in, bytes for the program out.
namespace autoexec::acp {

/// What the client asks of a program: a turn in a session.
struct Task {
    std::string program;  ///< For messages.
    std::string prompt;
    Folders folders;
    std::vector<PermissionRule> permissions;
    std::string mode{};   ///< Of the session; empty: as the program chooses.
    std::string model{};  ///< The same.
    /// The session to continue, and its prompt then; empty, or if the program cannot: a new one.
    std::string session{};
    std::string next_prompt{};
    /// Gets each decision about a request for permission.
    std::function<void(const ToolCall&, bool allowed, const std::string& rule)> on_decision{};
};

enum class Phase { initializing, opening, configuring, prompting, cancelling, ended };

/// Leads a program through the turns of a session, mostly one. Its requests for permission are
/// decided by the rules of the task, or held until a person has answered; it is offered nothing
/// else.
class Client final : public programs::OutputReader {
public:
    explicit Client(Task task);

    void feed(OutputStream stream, std::string_view chunk) override;
    /// What to write to the program next; empty: nothing.
    [[nodiscard]] std::string take_input();

    [[nodiscard]] Phase phase() const noexcept { return phase_; }
    /// How long the program may stay in its phase; then call `expire`. nullopt: no limit.
    [[nodiscard]] std::optional<std::chrono::seconds> limit() const;
    void expire();

    /// Adds a turn after those before it, because a program may not take a prompt during one.
    /// False: its last turn has ended, or too many wait.
    [[nodiscard]] bool say(std::string prompt);
    [[nodiscard]] bool accepts_prompts() const noexcept;

    /// Asks the program to end its turn. It may still report; requests for permission are no longer
    /// decided.
    void cancel();

    /// The oldest request that is held, as a question to a person; null: none is. Its id differs
    /// from those of the questions before.
    [[nodiscard]] const Question* question() const noexcept;
    /// Decides that request: only `allow_option` allows it.
    void answer_question(const Answer& answer);

    [[nodiscard]] bool concluded() const noexcept override { return phase_ == Phase::ended; }
    [[nodiscard]] std::string denied_message() const override;
    [[nodiscard]] std::optional<programs::ProgramVerdict> verdict(const ProcessExit& exit) override;

private:
    /// A request for permission.
    struct Held {
        boost::json::value id;
        ToolCall call;
        RequestOptions options;
        std::string rule;   ///< By which it is decided.
        Question question;  ///< If a person decides.
    };

    void read_message(const boost::json::value& message) override;
    void read_response(std::int64_t id, const boost::json::value& message);
    void read_error(const boost::json::value& error);
    void answer(const boost::json::value& request);
    void decide(const boost::json::value& id, const boost::json::value& request);
    void conclude(const Held& held, bool allow);
    void respond(const boost::json::value& id, const std::string& option);
    void hold(Held held);
    void drop_held();
    void read_update(const boost::json::value& update);
    void read_text(std::string_view text);
    void read_plan(const boost::json::value& update);
    void read_notice(const boost::json::value& failure);
    void read_usage(const boost::json::value& result);
    /// `turn` has the reason: in version 1, the result of the prompt.
    void end_turn(const boost::json::value& turn);
    void read_usage_of_turn(const boost::json::value& turn);
    [[nodiscard]] programs::ProgramVerdict verdict_of(const boost::json::value& turn,
                                                      std::string_view reason) const;
    [[nodiscard]] programs::ProgramVerdict failure(std::string code, std::string_view words) const;
    void end(programs::ProgramVerdict verdict);
    void fail(std::string code, std::string_view words);
    void open_session(const boost::json::value& result);
    void open_new_session();
    void enter_session(const boost::json::value& result);
    [[nodiscard]] bool plan_change(const boost::json::value& session, Setting setting,
                                   const std::string& wanted);
    void configure();
    void send_prompt(std::string_view prompt);
    void request(std::string_view method, boost::json::object params);
    void send(boost::json::object message);
    ToolCall& remember(const boost::json::value& tool_call);

    const Task task_;
    Phase phase_ = Phase::initializing;
    std::int64_t last_id_ = 0;  ///< Of our requests; only the last one is open.
    std::string last_method_;
    bool continues_ = false;       ///< The session of the task.
    std::vector<Change> changes_;  ///< Of the session, before the prompt; the last is next.
    std::string input_;
    std::deque<std::string> prompts_;  ///< For the next turns.
    Usage ended_turns_;                ///< What these used.
    std::optional<programs::ProgramVerdict> verdict_;
    std::map<std::string, ToolCall, std::less<>> tools_;
    std::deque<Held> held_;
    std::size_t questions_ = 0;  ///< How many were held so far.
    std::string text_;           ///< The end of what the model says.
    bool used_tools_ = false;
};

}  // namespace autoexec::acp
