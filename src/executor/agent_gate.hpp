#pragma once

#include "autoexec/clock.hpp"
#include "autoexec/file.hpp"
#include "executor/circuit_breaker.hpp"

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace autoexec::inline v1 {

/// An agent that gets no command now.
struct HeldAgent {
    std::string name;
    std::string reason;  ///< `reason_of`
    std::string message;
    std::string code;
    bool waiting_helps = true;
    WallTime until;  ///< When to ask again.
};

/// The state of the agents of the project, shared with its other executors by a file. What cannot
/// be shared counts in this process alone. A question about an agent without a state costs no
/// system call.
///
/// Thread safety: none.
class AgentGate {
public:
    AgentGate(std::filesystem::path project_root, std::shared_ptr<Clock> clock);

    /// Null: it may get a command now. If `probe` is then true, that command tests it, and its end
    /// must be reported.
    std::unique_ptr<HeldAgent> ask(const std::string& agent, const BreakerOptions& options,
                                   bool& probe);

    /// The attempt of a command has ended, or the command that should have tested the agent has not
    /// run. `from_status`: only a status has named the agent.
    AgentChange end(const std::string& agent, const AgentVerdict& verdict, bool probe,
                    bool from_status, const BreakerOptions& options);

    /// Shares what could not be shared before, renews the leases of probes, and reads what others
    /// have shared. Returns true if the state may have changed. At most one system call if nothing
    /// has.
    bool refresh();

    /// Why the state is not shared, once.
    std::string take_problem();

    /// No agent has a state that may need attention.
    [[nodiscard]] bool all_work() const noexcept { return known_.empty() && pending_.empty(); }

    [[nodiscard]] const AgentHealth* find(const std::string& agent) const;

private:
    using Change = std::function<void(protocol::AgentHealthMap&)>;
    [[nodiscard]] error_code share(const Change& change);
    void apply(const Change& change);
    void renew_leases();
    bool claim_probe(const std::string& agent, const BreakerOptions& options);

    std::filesystem::path root_;
    std::shared_ptr<Clock> clock_;
    protocol::AgentHealthMap known_;
    FileStamp stamp_;
    std::vector<Change> pending_;  ///< Not shared yet: another process had locked the file.
    std::set<std::string> probes_;
    std::string problem_;
    bool problem_reported_ = false;
};

}  // namespace autoexec::inline v1
