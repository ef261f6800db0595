#include "executor/agent_gate.hpp"

#include "protocol/error_classes.hpp"
#include "records/health_file.hpp"

#include <fmt/format.h>

#include <utility>

namespace autoexec::inline v1 {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds claim_retry{25};
constexpr std::size_t max_pending = 100;

bool is_busy(error_code ec)
{
    return ec == boost::system::errc::resource_unavailable_try_again;
}

void evict_oldest(protocol::AgentHealthMap& agents, WallTime now)
{
    auto oldest = agents.end();
    for (auto i = agents.begin(); i != agents.end(); ++i) {
        const bool gets_commands =
            protocol::phase_of(i->second, now) == protocol::AgentPhase::closed;
        if (gets_commands && (oldest == agents.end() || i->second.since < oldest->second.since))
            oldest = i;
    }
    if (oldest != agents.end()) agents.erase(oldest);
}

// False: all places are taken. Programs choose the names that statuses contain, so half of the
// places is not for these.
bool make_place(protocol::AgentHealthMap& agents, const std::string& agent, bool from_status,
                WallTime now)
{
    if (agents.contains(agent)) return true;
    if (from_status) return agents.size() < protocol::max_tracked_agents / 2;
    if (agents.size() >= protocol::max_tracked_agents) evict_oldest(agents, now);
    return agents.size() < protocol::max_tracked_agents;
}

}  // namespace

AgentGate::AgentGate(std::filesystem::path project_root, std::shared_ptr<Clock> clock)
    : root_(std::move(project_root)), clock_(std::move(clock))
{}

std::unique_ptr<HeldAgent> AgentGate::ask(const std::string& agent, const BreakerOptions& options,
                                          bool& probe)
{
    if (known_.empty() || !known_.contains(agent)) return nullptr;
    const auto now = clock_->system_now();
    auto access = access_of(known_.find(agent)->second, options, now);
    probe = access == AgentAccess::probe && claim_probe(agent, options);
    if (probe || access == AgentAccess::free) return nullptr;
    const auto* const health = find(agent);  // the claim may have read what others have shared
    if (health == nullptr) return nullptr;
    const auto phase = protocol::phase_of(*health, now);
    auto held = std::make_unique<HeldAgent>();
    held->name = agent;
    held->reason = protocol::reason_of(agent, *health, now);
    held->message = health->message;
    held->code = health->code;
    held->waiting_helps = phase != protocol::AgentPhase::open ||
                          protocol::reaction_to(health->code) != protocol::AgentReaction::stop;
    held->until = std::max(next_access(*health, now), now + claim_retry);
    return held;
}

// Under the lock of the file: one probe at a time, whichever process it belongs to.
bool AgentGate::claim_probe(const std::string& agent, const BreakerOptions& options)
{
    const auto now = clock_->system_now();
    bool claimed = false;
    const auto claim = [&](protocol::AgentHealthMap& agents) {
        const auto found = agents.find(agent);
        if (found == agents.end() || access_of(found->second, options, now) != AgentAccess::probe)
            return;
        found->second.probe_until = now + protocol::probe_lease;
        claimed = true;
    };
    const auto ec = share(claim);
    if (ec && !is_busy(ec)) {
        claimed = false;  // in the file, which was not written
        claim(known_);
    }
    if (claimed) probes_.insert(agent);
    return claimed;
}

AgentChange AgentGate::end(const std::string& agent, const AgentVerdict& verdict, bool probe,
                           bool from_status, const BreakerOptions& options)
{
    if (probe) probes_.erase(agent);
    const bool fails = verdict.kind == AgentVerdict::Kind::fails && may_count(verdict, options);
    const bool tells =
        probe || fails || (verdict.kind == AgentVerdict::Kind::works && known_.contains(agent));
    if (!tells || agent.empty() || agent.size() > protocol::max_tracked_name)
        return AgentChange::none;
    const auto result = std::make_shared<AgentChange>(AgentChange::none);
    apply([=, now = clock_->system_now()](protocol::AgentHealthMap& agents) {
        if (!make_place(agents, agent, from_status, now)) return;
        auto& health = agents[agent];
        *result = note_end(health, verdict, probe, options, now);
        if (health == AgentHealth{}) agents.erase(agent);
    });
    return *result;
}

bool AgentGate::refresh()
{
    bool changed = false;
    std::erase_if(known_, [now = clock_->system_now()](const auto& entry) {
        return protocol::is_stale(entry.second, now);
    });
    if (!pending_.empty()) changed = !share([](protocol::AgentHealthMap&) {});
    renew_leases();
    const auto stamp = records::agent_health_stamp(root_);
    if (stamp == stamp_) return changed;
    auto reading = records::read_agent_health(root_, clock_->system_now());
    if (reading.busy) return changed;
    stamp_ = stamp;
    for (const auto& change : pending_) change(reading.agents);
    changed |= reading.agents != known_;
    known_ = std::move(reading.agents);
    if (!reading.problem.empty()) problem_ = std::move(reading.problem);
    return changed;
}

void AgentGate::renew_leases()
{
    const auto now = clock_->system_now();
    for (const auto& agent : probes_) {
        const auto* const health = find(agent);
        if (health == nullptr || health->probe_until > now + protocol::probe_lease / 2) continue;
        apply([agent, now](protocol::AgentHealthMap& agents) {
            const auto found = agents.find(agent);
            if (found != agents.end() && found->second.state == AgentHealth::State::open)
                found->second.probe_until = now + protocol::probe_lease;
        });
    }
}

void AgentGate::apply(const Change& change)
{
    const auto ec = share(change);
    if (!ec) return;
    change(known_);
    if (is_busy(ec) && pending_.size() < max_pending) pending_.push_back(change);
}

error_code AgentGate::share(const Change& change)
{
    protocol::AgentHealthMap shared;
    const auto change_all = [&](protocol::AgentHealthMap& agents) {
        for (const auto& earlier : pending_) earlier(agents);
        change(agents);
        shared = agents;
    };
    const auto ec = records::change_agent_health(root_, clock_->system_now(), change_all);
    if (!ec) {
        pending_.clear();
        known_ = std::move(shared);
        stamp_ = records::agent_health_stamp(root_);
    } else if (!is_busy(ec) && !std::exchange(problem_reported_, true)) {
        problem_ = fmt::format(
            "The state of the agents is not shared with other processes, because it cannot be "
            "recorded below '{}': {}.",
            root_.string(), ec.message());
    }
    return ec;
}

std::string AgentGate::take_problem()
{
    return std::exchange(problem_, {});
}

const AgentHealth* AgentGate::find(const std::string& agent) const
{
    const auto found = known_.find(agent);
    return found == known_.end() ? nullptr : &found->second;
}

}  // namespace autoexec::inline v1
