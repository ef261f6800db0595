#include "protocol/step_answer.hpp"
#include "records/decisions.hpp"
#include "support/sweep.hpp"
#include "support/workflow_fixture.hpp"
#include "workflow/plan/expansion.hpp"

#include <boost/json/serialize.hpp>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <random>
#include <set>

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;
using workflow::Plan;

namespace {

/// A random workflow, and what its agents do with it.
class RandomRun : public WorkflowFixture {
public:
    explicit RandomRun(unsigned seed) : engine_(seed) {}

    void play()
    {
        w_ = make_workflow();
        plan_ = plan_of(w_);
        for (std::size_t i = 0; i < w_.steps.size(); ++i) index_.emplace(w_.steps[i].id, i);
        states_.assign(w_.steps.size(), StepState::pending);
        rounds_.assign(w_.steps.size(), 0);
        on_command = [this](const std::string& id) { return make_reply(id); };
        run_options.max_parallel = limit_ = below(4);
        run_options.fail_fast = once_in(5);
        options.agent_limits["one"] = 1;
        start(w_);
        if (once_in(4)) {
            const auto types = {asio::cancellation_type::partial, asio::cancellation_type::total,
                                asio::cancellation_type::terminal};
            const auto type = *(types.begin() + below(3));
            clock->at(std::chrono::milliseconds(below(30'000)), [this, type] {
                cancel_asked_ = results == 0;
                cancel.emit(type);
            });
        }
        clock->run(ctx);
        check_end();
    }

    void note(const WorkflowEvent& event) override
    {
        if (!event.parent_steps.empty()) {
            note_child(event);
            return;
        }
        if (event.type == WorkflowEvent::Type::sent_back)
            for (const auto& id : event.steps) {
                auto& state = states_[*workflow::index_of(w_, id)];
                if (state != StepState::running) state = StepState::pending;
            }
        if (event.step_id.empty() || event.type == WorkflowEvent::Type::sent_back) return;
        const auto i = *workflow::index_of(w_, event.step_id);
        switch (event.type) {
            case WorkflowEvent::Type::step_started:
                check_start(i, event.round);
                break;
            case WorkflowEvent::Type::step_waiting:
                REQUIRE(event.wait);
                answer_later(i, event.run_id);
                break;
            case WorkflowEvent::Type::step_ended:
                REQUIRE(states_[i] == StepState::running);  // so it ends once for each start
                states_[i] = event.result->reason == outdated ? StepState::pending : event.state;
                break;
            case WorkflowEvent::Type::expanded:
                REQUIRE(states_[i] == StepState::running);
                workflow::expand(w_, plan_, index_, i, event.steps.size());
                states_.resize(w_.steps.size(), StepState::pending);
                rounds_.resize(w_.steps.size(), 0);
                break;
            case WorkflowEvent::Type::gate_judged:
                states_[i] = event.state;
                break;
            case WorkflowEvent::Type::step_skipped:
                REQUIRE(states_[i] == StepState::pending);
                states_[i] = StepState::skipped;
                break;
            default:
                break;
        }
    }

private:
    void note_child(const WorkflowEvent& event)
    {
        const auto name = event.parent_steps + '/' + event.step_id;
        if (event.type == WorkflowEvent::Type::step_started) {
            const auto parent = *workflow::index_of(w_, event.parent_steps);
            REQUIRE(states_[parent] == StepState::running);
            REQUIRE(child_steps_.insert(name).second);
            check_limits();
        } else if (event.type == WorkflowEvent::Type::step_ended) {
            REQUIRE(child_steps_.erase(name) == 1);
        }
    }

    static constexpr std::string_view outdated = "A gate restarted a step before it";

    std::size_t below(std::size_t n)
    {
        return std::uniform_int_distribution<std::size_t>(0, n - 1)(engine_);
    }
    bool once_in(std::size_t n) { return below(n) == 0; }

    Workflow make_workflow()
    {
        auto w = workflow_of({});
        const auto n = 1 + below(8);
        for (std::size_t i = 0; i < n; ++i) {
            w.steps.push_back(make_step(w.steps, i));
            if (once_in(4)) add_items(w.steps, i);
        }
        for (std::size_t i = 0; i < n; ++i) {
            if (i + 1 < n && once_in(2)) w.steps[i].next = id_of(i + 1 + below(n - i - 1));
            if (once_in(3)) add_gate(w.steps[i], i, n);
        }
        if (once_in(3)) set_phase_of_last(w.steps);
        w.max_rounds = 1 + static_cast<int>(below(3));
        if (once_in(3)) w.retry = some_retry();
        if (once_in(3)) w.max_retries = below(4);
        if (once_in(6)) w.timeout = std::chrono::milliseconds(1 + below(40'000));
        return w;
    }

    // A gate leads to no other phase.
    void set_phase_of_last(std::vector<WorkflowStep>& steps)
    {
        auto& last = steps.back();
        last.phase = once_in(2) ? StepPhase::finally : StepPhase::on_failure;
        for (auto& s : steps) {
            const auto crosses = [&](const GateTarget& target) {
                return target.kind == GateTarget::Kind::step &&
                       (target.step == last.id) != (&s == &last);
            };
            if (s.gate && crosses(s.gate->on_fail)) s.gate->on_fail = {GateTarget::Kind::fail, {}};
            if (s.gate && crosses(s.gate->on_pass)) s.gate->on_pass = {};
        }
    }

    static std::string id_of(std::size_t i) { return "s" + std::to_string(i); }

    WorkflowStep make_step(const std::vector<WorkflowStep>& before, std::size_t i)
    {
        auto s = step(id_of(i));
        s.creates = {"out-" + s.id};
        s.require_artifacts = false;
        s.agent = once_in(3) ? "one" : "many";
        if (!once_in(3)) {
            s.worktree = "tree-" + std::to_string(below(4));
            tree_at(s.worktree.string());
        }
        s.continue_on_error = once_in(5);
        s.skip_on_fail = once_in(8);
        if (once_in(5))
            make_manual(s);
        else if (once_in(6))
            use_workflow(s);
        else if (once_in(6))
            s.timeout = 7s;
        if (!s.manual && !s.used && once_in(4)) s.retry = some_retry();
        makes_nothing_.push_back(s.creates.empty());
        for (std::size_t k = 0; k < i; ++k) {
            if (!once_in(3)) continue;
            switch (before[k].for_each || before[k].used ? 0 : below(4)) {
                case 0:
                    s.depends_on.push_back(id_of(k));
                    break;
                case 1:
                    if (!makes_nothing_[k]) s.needs.push_back("out-" + id_of(k));
                    break;
                case 2:
                    s.optional_steps.push_back(id_of(k));
                    break;
                default:
                    s.condition = id_of(k) + ".outcome != 'timeout'";
            }
        }
        return s;
    }

    RetryPolicy some_retry()
    {
        RetryPolicy retry;
        retry.max_attempts = 2 + static_cast<int>(below(2));
        if (once_in(2)) retry.on = {once_in(2) ? "failed" : "timeout"};
        return retry;
    }

    void use_workflow(WorkflowStep& s)
    {
        auto used = workflow_of({});
        used.id = "used";
        used.params = {{"x", nullptr}};
        for (std::size_t k = 0; k <= below(3); ++k) {
            auto inner = step(fmt::format("{}-{}", s.id, k));
            inner.argv = {"true", "{params.x}"};
            inner.agent = once_in(3) ? "one" : "many";
            inner.continue_on_error = once_in(5);
            if (k > 0 && once_in(2)) inner.depends_on = {used.steps.back().id};
            used.steps.push_back(std::move(inner));
        }
        s.argv.clear();
        s.agent.clear();
        s.worktree.clear();
        s.creates.clear();
        s.params = {{"x", "{run.id}"}};
        s.uses = "used.yaml";
        s.used = std::make_shared<const Workflow>(std::move(used));
    }

    void make_manual(WorkflowStep& s)
    {
        s.manual.emplace();
        if (once_in(2)) s.creates.clear();
        if (once_in(2)) s.manual->until = std::chrono::milliseconds(1 + below(10'000));
        s.manual->approved_at_deadline = s.manual->until && once_in(2);
    }

    // A person who may be too late, but always answers if the step has no deadline.
    void answer_later(std::size_t i, const std::string& id)
    {
        std::string problem;
        const auto run = workflow::read_run(project.path(), id, problem);
        REQUIRE_MESSAGE(run, problem);
        if (w_.steps[i].manual->until && once_in(3)) return;
        protocol::StepAnswerFile file{run->steps[i].execution_id, {}};
        file.answer.decision = static_cast<StepDecision>(below(4));
        file.answer.by = "ada@host";
        clock->at(clock->elapsed() + std::chrono::milliseconds(1 + below(20'000)),
                  [this, file, id] {
                      if (results > 0) return;
                      (void)records::put_decision(project.path(), id, file.execution_id,
                                                  protocol::format_step_answer(file));
                  });
    }

    // Of the file, or of the results of a step that writes another list in each round.
    void add_items(std::vector<WorkflowStep>& steps, std::size_t i)
    {
        auto& s = steps[i];
        if (s.manual) return;
        makes_nothing_[i] = true;
        auto& items = s.for_each.emplace();
        items.max_parallel = below(3);
        items.fail_fast = once_in(3);
        s.creates.clear();
        if (s.used)
            s.params = {{"x", "{item} {index}"}};
        else
            s.argv = {"true", "{item}", "{index}"};
        const auto k = below(i + 1);
        if (k == i || steps[k].for_each || steps[k].manual || steps[k].used) {
            items.list.resize(below(4), boost::json::value("x"));
            return;
        }
        items.source = steps[k].id + ".results.items";
        steps[k].results = "items-" + steps[k].id + ".json";
    }

    void write_items(const WorkflowStep& s, Reply& reply)
    {
        boost::json::array items(below(5), boost::json::value("; rm -rf ~"));
        if (once_in(10)) items.emplace_back(nullptr);
        write_file(project / (s.worktree / s.results).string(),
                   boost::json::serialize(boost::json::object{{"items", items}}));
        reply.creates.push_back(s.results);
    }

    void add_gate(WorkflowStep& s, std::size_t i, std::size_t n)
    {
        auto condition = s.id + ".round >= " + std::to_string(1 + below(4));
        switch (s.for_each ? below(2) : below(5)) {
            case 0:
                s.gate = gate(std::move(condition), {GateTarget::Kind::fail, {}});
                break;
            case 1:
                s.gate = gate(std::move(condition), {GateTarget::Kind::again, {}});
                break;
            case 2:
                s.gate = gate(std::move(condition), {GateTarget::Kind::end, {}});
                break;
            default:
                s.gate = gate(std::move(condition), to(id_of(below(n))));
        }
        if (i + 1 < n && !s.for_each && once_in(4))
            s.gate->on_pass = to(id_of(i + 1 + below(n - i - 1)));
    }

    Reply make_reply(const std::string& id)
    {
        Reply reply;
        const auto found = index_.find(id);  // not a step of a used workflow
        if (found != index_.end()) {
            const auto& s = w_.steps[found->second];
            if (!s.results.empty() && !once_in(8)) write_items(s, reply);
        }
        reply.after = std::chrono::milliseconds(1 + below(5'000));
        reply.never = once_in(40);
        if (once_in(6)) reply.status = ReportedStatus::failed;
        return reply;
    }

    void check_start(std::size_t i, int round)
    {
        REQUIRE(states_[i] == StepState::pending);
        REQUIRE(round > rounds_[i]);
        rounds_[i] = round;
        int most = 1;
        for (const auto& p : plan_.steps)
            if (p.back_to) most += p.max_rounds - 1;
        REQUIRE(round <= most);
        for (const auto from : plan_.steps[i].waits_for) {
            REQUIRE(states_[from] != StepState::pending);
            REQUIRE(states_[from] != StepState::running);
        }
        states_[i] = StepState::running;
        std::map<std::string, int> trees;
        std::map<std::size_t, std::size_t> of_list;
        int of_one = 0;
        for (std::size_t k = 0; k < states_.size(); ++k) {
            if (states_[k] != StepState::running) continue;
            const bool is_manual = w_.steps[k].manual.has_value();
            if (w_.steps[k].for_each) continue;  // it runs nothing itself
            if (const auto& whole = plan_.steps[k].part_of) ++of_list[*whole];
            if (!is_manual) of_one += w_.steps[k].agent == "one" ? 1 : 0;
            if (is_manual && w_.steps[k].creates.empty()) continue;  // it uses no worktree
            REQUIRE(++trees[w_.steps[k].worktree.string()] == 1);
        }
        for (const auto& [whole, count] : of_list) {
            const auto most_parts = w_.steps[whole].for_each->max_parallel;
            REQUIRE((most_parts == 0 || count <= most_parts));
        }
        REQUIRE(of_one <= 1);
        check_limits();
    }

    // Of the commands of the run and of its child runs together.
    void check_limits()
    {
        auto running = child_steps_.size();
        for (std::size_t k = 0; k < states_.size(); ++k) {
            const auto& s = w_.steps[k];
            const bool has_command = !s.manual && !s.used && !s.for_each;
            if (states_[k] == StepState::running && has_command) ++running;
        }
        REQUIRE((limit_ == 0 || running <= limit_));
    }

    // What must hold, whatever has happened.
    void check_end()
    {
        REQUIRE(results == 1);
        REQUIRE_FALSE(ec);
        bool failed = false;
        const bool is_late = result.error.starts_with("The workflow was stopped after its time");
        REQUIRE((!is_late || result.duration >= *w_.timeout));
        for (std::size_t i = 0; i < states_.size(); ++i) {
            const auto& step = of(w_.steps[i].id);
            REQUIRE(step.state == states_[i]);
            REQUIRE(step.state != StepState::pending);
            REQUIRE(step.state != StepState::running);
            const bool bad = step.state == StepState::failed || step.state == StepState::timeout ||
                             step.state == StepState::cancelled;
            failed |= bad && !step.tolerated;
            const bool stopped = cancel_asked_ || step.reason.ends_with("has ended the workflow") ||
                                 step.reason == "The time limit of the workflow is over" ||
                                 step.reason.ends_with("has failed");  // also "No step has failed"
            if (step.state == StepState::skipped && step.round == 0 && !stopped)
                REQUIRE_MESSAGE(may_be_skipped(i), step.id, ": ", step.reason);
        }
        if (result.status != WorkflowStatus::cancelled)
            REQUIRE((result.status == WorkflowStatus::failed) == (failed || is_late));
        REQUIRE((result.status == WorkflowStatus::cancelled) <= cancel_asked_);
        for (const auto& [path, tree] : handoff->trees) {
            REQUIRE_FALSE(tree->locked);
            REQUIRE_FALSE(tree->command);
        }
        REQUIRE_FALSE(std::filesystem::exists(project / ".tapps-agents/running/decisions"));
        check_journal();
    }

    // A step that nothing kept from running must have run.
    bool may_be_skipped(std::size_t i) const
    {
        const auto& p = plan_.steps[i];
        const auto one_goes_on = [&](std::size_t k) {
            const auto& s = of(w_.steps[k].id);
            return s.state == StepState::completed || s.tolerated;
        };
        if (const auto& whole = p.part_of) {
            const bool read = of(w_.steps[*whole].id).state == StepState::completed;
            const bool fewer = of(w_.steps[i].id).reason.ends_with("has fewer items now");
            return !read || fewer || w_.steps[*whole].for_each->fail_fast;
        }
        const auto blocked = [&](std::size_t k) {
            return !one_goes_on(k) || !std::ranges::all_of(plan_.steps[k].parts, one_goes_on);
        };
        if (!w_.steps[i].condition.empty() || !p.entries.empty()) return true;
        return std::any_of(p.depends_on.begin(), p.depends_on.end(), blocked) ||
               std::any_of(p.artifacts.begin(), p.artifacts.end(), [&](const auto& need) {
                   return std::none_of(need.creators.begin(), need.creators.end(), [&](auto k) {
                       return of(w_.steps[k].id).state == StepState::completed;
                   });
               });
    }

    void check_journal() const
    {
        const auto record = journal();
        REQUIRE(record.skipped_lines == 0);
        REQUIRE(record.status == result.status);
        REQUIRE_FALSE(record.alive);
        REQUIRE(record.steps.size() == result.steps.size());
        for (const auto& step : record.steps) REQUIRE(step.state == of(step.id).state);
    }

    std::mt19937 engine_;
    Workflow w_;
    Plan plan_;
    workflow::StepIndex index_;
    std::vector<StepState> states_;
    std::vector<int> rounds_;
    std::set<std::string> child_steps_;  ///< Those that run.
    std::vector<bool> makes_nothing_;
    std::size_t limit_ = 0;
    bool cancel_asked_ = false;
};

}  // namespace

TEST_CASE("random workflows keep every promise" * doctest::test_suite("sweep"))
{
    const auto first = sweep_seed();
    const auto workflows = sweep_rounds(100, 10'000);
    for (unsigned k = 0; k < workflows; ++k) {
        INFO("AUTOEXEC_TEST_SEED=", first + k);
        RandomRun(first + k).play();
    }
}
