#pragma once

#include "autoexec/command.hpp"
#include "autoexec/mailbox.hpp"
#include "autoexec/time.hpp"

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace autoexec {

struct MonitorOptions {
    std::string attempt_id;  ///< Empty: whatever comes counts.
    /// A status that does not name the attempt never counts. Otherwise it counts until a claim of
    /// the attempt, or a status that names it, was seen.
    bool attempt_id_required = false;
    /// Only an attempt whose claim was seen can end, by a status or by its artifacts.
    bool claim_required = false;
    std::optional<std::string> workflow_id;
    std::optional<std::string> step_id;
    std::vector<std::string> expected_artifacts;
    bool artifact_detection = true;
    /// How long expected artifacts must stay unchanged before they complete a wait.
    std::chrono::milliseconds stability = std::chrono::seconds{2};
};

/// A status file that was not believed.
struct Rejection {
    std::string code;    ///< unsafe_path, malformed, other_attempt …
    std::string reason;  ///< For a person.

    bool operator==(const Rejection&) const = default;
};

/// What one look at a worktree has shown.
struct Observation {
    enum class Kind {
        waiting,
        final_status,
        artifacts_ready,
        status_too_large,
        agent_lost,
        worktree_lost,
    };
    Kind kind = Kind::waiting;
    bool changed = false;  ///< The status word, progress, artifacts or output are others.
    std::vector<Rejection> rejections;  ///< New ones.
};

/// The artifacts as they are now. Versions can be compared with those of another process, too.
ArtifactBaseline baseline_of(Mailbox& mailbox, const std::vector<std::string>& paths);

/// Judges what an agent left in a worktree, by the reading rules: one attempt's memory of what
/// was there before and what has been seen since. It waits for nothing and emits nothing.
class AttemptMonitor {
public:
    AttemptMonitor(Mailbox& mailbox, MonitorOptions options);

    /// Remembers what is there before the command is published; it doesn't count later.
    void remember();
    /// What `verify` compares with: artifacts as they were before the first attempt. Without it,
    /// each artifact that is there counts as made.
    void set_baseline(ArtifactBaseline baseline) { baseline_ = std::move(baseline); }

    Observation look(time_point now);

    /// The last status that was believed.
    [[nodiscard]] const std::optional<AgentStatus>& status() const noexcept { return status_; }

    /// The last status is final, but its agent has not released its claim: it does not count yet.
    [[nodiscard]] bool end_is_pending() const noexcept
    {
        return status_ && status_->is_final() && !end_counts();
    }

    /// The file that the last status came from, if that is final.
    [[nodiscard]] const std::optional<FileStamp>& final_file() const noexcept
    {
        return final_file_;
    }

    /// Some agent has the command: its claim or its status has been seen.
    [[nodiscard]] bool started() const noexcept
    {
        return claim_ != ClaimState::none || status_.has_value();
    }
    [[nodiscard]] ClaimState claim() const noexcept { return claim_; }

    /// The agent knows our protocol, so it will see a cancel file.
    [[nodiscard]] bool supports_cancel() const noexcept;

    /// No heartbeat for 30 s from an agent whose claim can't be asked.
    [[nodiscard]] bool heartbeat_stale(time_point now) const noexcept;

    /// How many expected artifacts are new or changed; the others' names go to `missing`.
    Verification verify(std::vector<std::string>& missing) const;

    /// Why the last status file was not understood; empty if it was.
    [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

    /// Set when a status file is there that could not be read in the last look, because the system
    /// was out of descriptors or memory.
    [[nodiscard]] error_code shortage() const noexcept { return shortage_; }

private:
    struct Candidate {
        AgentStatus status;
        FileStamp stamp;
        bool echoes = false;  ///< Carries this attempt's id.
    };

    void read_claim();
    void judge_vanished_claim();
    [[nodiscard]] bool end_counts() const noexcept;

    std::optional<Candidate> candidate(const FoundFile& file, Observation& sight);
    bool lacks_needed_id(bool echoes, Observation& sight);
    void reject(Observation& sight, std::string code, std::string reason);
    bool is_of_other(const AgentStatus& status, std::string& why) const;
    bool take(Candidate candidate, time_point now);
    bool artifacts_ready(time_point now);
    [[nodiscard]] bool heartbeat_lost(time_point now) const noexcept;

    Mailbox& mailbox_;
    MonitorOptions options_;
    std::vector<FileStamp> old_files_;
    std::map<std::string, ArtifactState> before_;  ///< This attempt.
    ArtifactBaseline baseline_;                    ///< The first attempt.

    std::optional<AgentStatus> status_;
    std::optional<FileStamp> final_file_;
    ClaimState claim_ = ClaimState::none;
    bool claimed_ = false;         ///< A claim was seen.
    bool identified_ = false;      ///< A status that names the attempt was seen.
    bool claim_released_ = false;  ///< For good: what appears at its path later is not asked.
    time_point last_beat_{};
    std::string problem_;
    error_code shortage_;
    std::vector<Rejection> last_rejections_;

    std::map<std::string, ArtifactState> seen_;
    std::optional<time_point> stable_since_;
};

}  // namespace autoexec
