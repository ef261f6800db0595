#pragma once

#include "async/short_names.hpp"
#include "autoexec/command.hpp"
#include "autoexec/mailbox.hpp"
#include "executor/rare.hpp"

#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace autoexec::inline v1 {

struct MonitorOptions {
    /// If set, a status without the attempt's id never counts. Otherwise it counts until a claim of
    /// the attempt, or a status with its id, was seen.
    bool attempt_id_required = false;
    /// If set, an attempt ends by a status or artifacts only after its claim was seen.
    bool claim_required = false;
    bool artifact_detection = true;
    /// How long expected artifacts must stay unchanged before they complete a wait.
    std::chrono::milliseconds stability = std::chrono::seconds{2};
};

/// A status file that was not accepted.
struct Rejection {
    std::string code;    ///< unsafe_path, malformed, other_attempt …
    std::string reason;  ///< For messages.

    bool operator==(const Rejection&) const = default;
};

/// The result of one poll of a worktree.
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
    bool changed = false;               ///< The status, progress, artifacts or output have changed.
    std::vector<Rejection> rejections;  ///< Rejections since the last poll.
};

/// The current artifacts. Their versions are comparable across processes.
ArtifactBaseline baseline_of(Mailbox& mailbox, const std::vector<std::string>& paths);

/// Evaluates an agent's files in a worktree by the reading rules of the protocol. Remembers, for
/// one attempt, the files that existed before and those seen since. Never waits and emits no
/// events.
class AttemptMonitor {
public:
    /// References outlive this. Without an attempt id every status counts. `verify` compares with
    /// the baseline in the request; absent: every existing artifact counts.
    AttemptMonitor(Mailbox& mailbox, const CommandRequest& request, const std::string& attempt_id,
                   const MonitorOptions& options)
        : mailbox_(mailbox), request_(request), attempt_id_(attempt_id), options_(options)
    {}

    /// Records existing files before the command is published; they do not count later.
    void remember();

    Observation poll(time_point now);

    /// The last accepted status; null: none.
    [[nodiscard]] const AgentStatus* status() const noexcept
    {
        return accepted_ ? &accepted_->status : nullptr;
    }

    /// True if the last status is final but does not count yet, because its agent has not released
    /// its claim.
    [[nodiscard]] bool end_is_pending() const noexcept { return final_file() && !end_counts(); }

    /// The file of the last status, if that is final.
    [[nodiscard]] std::optional<FileStamp> final_file() const noexcept
    {
        const bool is_final = accepted_ && accepted_->status.is_final();
        return is_final ? std::optional(accepted_->stamp) : std::nullopt;
    }

    /// True if an agent has the command: its claim or its status was seen.
    [[nodiscard]] bool started() const noexcept
    {
        return claim_ != ClaimState::none || accepted_ != nullptr;
    }
    [[nodiscard]] ClaimState claim() const noexcept { return claim_; }

    /// True if the agent implements the protocol, so that it reads a cancel file.
    [[nodiscard]] bool supports_cancel() const noexcept;

    /// True after 30 s without a heartbeat from an agent whose claim cannot be probed.
    [[nodiscard]] bool heartbeat_stale(time_point now) const noexcept;

    /// Whether the expected artifacts are new or changed; the names of others are put into
    /// `missing`.
    Verification verify(std::vector<std::string>& missing) const;

    /// Why the last status file was not accepted; empty if it was.
    [[nodiscard]] const std::string& problem() const noexcept { return trouble_->problem; }

    /// Set if the last poll could not read an existing status file for lack of descriptors or
    /// memory.
    [[nodiscard]] error_code shortage() const noexcept { return trouble_->shortage; }

private:
    struct Artifacts {
        std::map<std::string, ArtifactState> before;  ///< Before this attempt.
        std::map<std::string, ArtifactState> seen;
        std::optional<time_point> stable_since;
    };
    struct Candidate {
        AgentStatus status;
        FileStamp stamp;
        bool names_attempt = false;  ///< It contains this attempt's id.
    };

    /// Of the last poll.
    struct Trouble {
        std::string problem;
        error_code shortage;
        std::vector<Rejection> rejections;
    };

    void read_claim();
    void classify_missing_claim();
    [[nodiscard]] bool end_counts() const noexcept;

    std::optional<Candidate> candidate(const FoundFile& file, Observation& observation);
    bool rejects_unidentified(bool names_attempt, Observation& observation);
    void reject(Observation& observation, std::string code, std::string reason);
    bool belongs_to_other(const AgentStatus& status, std::string& problem) const;
    bool accept(Candidate candidate, time_point now);
    bool artifacts_ready(time_point now);
    [[nodiscard]] bool heartbeat_lost(time_point now) const noexcept;

    Mailbox& mailbox_;
    const CommandRequest& request_;
    const std::string& attempt_id_;
    MonitorOptions options_;
    std::vector<FileStamp> old_files_;
    Rare<Artifacts> artifacts_;

    std::unique_ptr<Candidate> accepted_;
    ClaimState claim_ = ClaimState::none;
    bool claimed_ = false;         ///< A claim was seen.
    bool identified_ = false;      ///< A status that names the attempt was seen.
    bool claim_released_ = false;  ///< Permanent: a later file at its path is not probed.
    time_point last_beat_{};
    Rare<Trouble> trouble_;
};

}  // namespace autoexec::inline v1
