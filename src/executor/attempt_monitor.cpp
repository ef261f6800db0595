#include "executor/attempt_monitor.hpp"

#include "files/safe_files.hpp"
#include "protocol/status.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace autoexec::inline v1 {
namespace {

constexpr std::chrono::seconds suspect_after{30};
constexpr std::chrono::seconds lost_after{60};

bool differs(const std::optional<std::string>& a, const std::optional<std::string>& b)
{
    return a && b && !a->empty() && !b->empty() && *a != *b;
}

bool shows_change(const AgentStatus& before, const AgentStatus& after)
{
    return before.status != after.status || before.progress != after.progress ||
           before.artifacts != after.artifacts || before.output != after.output ||
           before.waiting_for != after.waiting_for || before.prompts_taken != after.prompts_taken;
}

// Without the device, whose number may change when the machine restarts.
std::string version_of(const ArtifactState& state)
{
    if (!state.present) return {};
    const auto& stamp = state.stamp;
    return fmt::format("{}-{}-{}-{}", stamp.inode, stamp.modified_ns, stamp.changed_ns, stamp.size);
}

}  // namespace

ArtifactBaseline baseline_of(Mailbox& mailbox, const std::vector<std::string>& paths)
{
    ArtifactBaseline baseline;
    for (const auto& path : paths) baseline[path] = version_of(mailbox.artifact(path));
    return baseline;
}

void AttemptMonitor::remember()
{
    for (const auto& file : mailbox_.look()) old_files_.push_back(file.stamp);
    for (const auto& path : request_.expected_artifacts)
        artifacts_->before[path] = mailbox_.artifact(path);
}

Observation AttemptMonitor::poll(time_point now)
{
    Observation observation;
    if (mailbox_.lost()) {
        observation.kind = Observation::Kind::worktree_lost;
        return observation;
    }
    // Read before the status: an agent writes its last status, then releases its claim. So a free
    // claim, then no final status, mean that the agent is lost.
    read_claim();

    std::optional<Candidate> best;
    bool unreadable = false;
    const auto before = trouble_.take();
    for (const auto& file : mailbox_.look()) {
        if (file.state == FoundFile::State::too_large) {
            trouble_->problem = file.problem;
            observation.kind = Observation::Kind::status_too_large;
            return observation;
        }
        unreadable |= file.state == FoundFile::State::unreadable;
        if (files::is_resource_shortage(file.reason)) trouble_->shortage = file.reason;
        auto found = candidate(file, observation);
        if (found && (!best || (found->names_attempt && !best->names_attempt)))
            best = std::move(found);
    }
    // Report a rejection once: repeated at every poll, it would fill the audit log.
    if (!observation.rejections.empty()) trouble_->rejections = observation.rejections;
    if (before && before->rejections == observation.rejections) observation.rejections.clear();

    classify_missing_claim();
    const bool found = best.has_value();
    if (found) observation.changed = accept(*std::move(best), now);
    if (found && final_file() && end_counts())
        observation.kind = Observation::Kind::final_status;
    else if (unreadable)
        observation.kind = Observation::Kind::waiting;  // the result may exist but be unreadable
                                                        // for lack of descriptors
    else if (claim_ == ClaimState::free || heartbeat_lost(now))
        observation.kind = Observation::Kind::agent_lost;
    else if (artifacts_ready(now))
        observation.kind = Observation::Kind::artifacts_ready;
    return observation;
}

void AttemptMonitor::read_claim()
{
    if (attempt_id_.empty()) return;
    claim_ = claim_released_ ? ClaimState::free : mailbox_.claim(attempt_id_);
    claimed_ |= claim_ != ClaimState::none;
}

// A claim that is unlinked and unlocked was dropped by an agent that did not run the command. But
// an agent that has reported did run it, so another process removed its claim.
void AttemptMonitor::classify_missing_claim()
{
    if (!claimed_ || !identified_ || claim_ != ClaimState::none) return;
    claim_ = ClaimState::free;
    claim_released_ = true;
}

bool AttemptMonitor::end_counts() const noexcept
{
    return claim_ != ClaimState::live && (claimed_ || !options_.claim_required);
}

std::optional<AttemptMonitor::Candidate> AttemptMonitor::candidate(const FoundFile& file,
                                                                   Observation& observation)
{
    if (file.state == FoundFile::State::unsafe || file.state == FoundFile::State::unreadable) {
        reject(observation, file.state == FoundFile::State::unsafe ? "unsafe_path" : "unreadable",
               "Cannot read the status file: " + file.problem + ".");
        return std::nullopt;
    }
    auto reading = protocol::parse_status(file.text);
    if (reading.kind == protocol::StatusReading::Kind::incomplete) return std::nullopt;
    if (reading.kind == protocol::StatusReading::Kind::malformed) {
        reject(observation, "malformed", std::move(reading.problem));
        return std::nullopt;
    }
    std::string problem;
    if (belongs_to_other(reading.status, problem)) {
        reject(observation, "other_attempt", std::move(problem));
        return std::nullopt;
    }
    const bool names_attempt = !attempt_id_.empty() && !reading.status.attempt_id.empty();
    const bool old =
        std::find(old_files_.begin(), old_files_.end(), file.stamp) != old_files_.end();
    if (old && !names_attempt) {
        reject(observation, "stale", "The status file existed before the command was published.");
        return std::nullopt;
    }
    if (rejects_unidentified(names_attempt, observation)) return std::nullopt;
    identified_ |= names_attempt;
    return Candidate{std::move(reading.status), file.stamp, names_attempt};
}

// Such a file may come from a checkout, a merge, or the program itself.
bool AttemptMonitor::rejects_unidentified(bool names_attempt, Observation& observation)
{
    if (names_attempt || attempt_id_.empty()) return false;
    if (!options_.attempt_id_required && !claimed_ && !identified_) return false;
    reject(observation, "no_attempt_id", "The status file does not name this attempt.");
    return true;
}

bool AttemptMonitor::belongs_to_other(const AgentStatus& status, std::string& problem) const
{
    if (differs(status.attempt_id, attempt_id_))
        problem = "The status file belongs to another attempt.";
    else if (differs(status.workflow_id, request_.workflow_id))
        problem = "The status file belongs to another workflow.";
    else if (differs(status.step_id, request_.step_id))
        problem = "The status file belongs to another step.";
    return !problem.empty();
}

void AttemptMonitor::reject(Observation& observation, std::string code, std::string reason)
{
    trouble_->problem = reason;
    observation.rejections.push_back({std::move(code), std::move(reason)});
}

bool AttemptMonitor::accept(Candidate candidate, time_point now)
{
    const auto* const before = status();
    const auto& after = candidate.status;
    const bool changed = !before || shows_change(*before, after);
    if (changed || before->sequence != after.sequence) last_beat_ = now;
    accepted_ = std::make_unique<Candidate>(std::move(candidate));
    return changed;
}

bool AttemptMonitor::supports_cancel() const noexcept
{
    return claim_ == ClaimState::live || claim_ == ClaimState::remote ||
           (accepted_ && !accepted_->status.attempt_id.empty());
}

bool AttemptMonitor::heartbeat_stale(time_point now) const noexcept
{
    const auto* const last = status();
    const bool beats = last && last->sequence && !last->attempt_id.empty();
    const bool claim_unknown = claim_ == ClaimState::remote || claim_ == ClaimState::none;
    return beats && claim_unknown && !last->is_final() && now - last_beat_ >= suspect_after;
}

bool AttemptMonitor::heartbeat_lost(time_point now) const noexcept
{
    return heartbeat_stale(now) && now - last_beat_ >= lost_after;
}

bool AttemptMonitor::artifacts_ready(time_point now)
{
    const bool possible = options_.artifact_detection && !request_.expected_artifacts.empty() &&
                          claim_ == ClaimState::none && !options_.claim_required;
    if (!possible) {
        if (artifacts_.get().stable_since) artifacts_->stable_since.reset();
        return false;
    }
    auto& artifacts = artifacts_.edit();
    std::map<std::string, ArtifactState> current;
    for (const auto& path : request_.expected_artifacts) {
        auto state = mailbox_.artifact(path);
        const auto before = artifacts.before.find(path);
        if (!state.present || (before != artifacts.before.end() && before->second == state)) {
            artifacts.stable_since.reset();
            return false;
        }
        current[path] = state;
    }
    if (!artifacts.stable_since || current != artifacts.seen) {
        artifacts.stable_since = now;
        artifacts.seen = std::move(current);
        return false;
    }
    return now - *artifacts.stable_since >= options_.stability;
}

Verification AttemptMonitor::verify(std::vector<std::string>& missing) const
{
    missing.clear();
    for (const auto& path : request_.expected_artifacts) {
        const auto version = version_of(mailbox_.artifact(path));
        const auto& baseline = request_.artifact_baseline;
        const bool unchanged =
            baseline && baseline->contains(path) && baseline->at(path) == version;
        if (version.empty() || unchanged) missing.push_back(path);
    }
    if (missing.size() == request_.expected_artifacts.size()) return Verification::none;
    return missing.empty() ? Verification::all : Verification::partial;
}

}  // namespace autoexec::inline v1
