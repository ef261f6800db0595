#include "workflow/journal/journal.hpp"

#include "text/json.hpp"
#include "text/json_fields.hpp"
#include "workflow/journal/result.hpp"

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include <limits>
#include <unordered_map>
#include <utility>

namespace autoexec::workflow {
namespace {

namespace json = boost::json;
using text::Fields;

// What a JSON reader anywhere can hold; one more is still far from overflowing.
constexpr std::int64_t highest_seq = std::int64_t{1} << 53;

int count(const Fields& in, std::string_view key)
{
    constexpr auto most = std::numeric_limits<int>::max();
    return static_cast<int>(in.integer(key, 0, most).value_or(0));
}

/// Takes transitions one after another. A field of another type counts as absent.
class RunReader {
public:
    void add_line(std::string_view line)
    {
        auto json = text::read_json_object(line);
        if (json.kind != text::JsonReading::Kind::valid || !add(json.object))
            skip();
        else
            run_.transitions.push_back(std::move(json.object));
    }

    void skip() { ++run_.skipped_lines; }

    RunRecord take() { return std::move(run_); }

private:
    bool add(const json::object& line)
    {
        std::vector<std::string> ignored;
        const Fields in(&line, ignored);
        const auto seq = in.integer("seq", seq_ + 1, highest_seq);
        const auto event = in.string("event");
        if (!seq || !event) return false;
        seq_ = *seq;
        const auto time = in.string("time").value_or("");
        // An event that isn't known is of a later version, and changes nothing here.
        if (const auto type = parse_event_type(*event)) apply(*type, in, time, line);
        return true;
    }

    void apply(WorkflowEvent::Type type, const Fields& in, const std::string& time,
               const json::object& line)
    {
        using enum WorkflowEvent::Type;
        switch (type) {
            case run_started:
                return start_run(in, time, line);
            case step_started:
                return start_step(in, time);
            case step_waiting:
                return wait(in);
            case step_ended:
                return end_step(in, time);
            case step_skipped:
                return skip_step(in, time);
            case gate_judged:
                return judge(in);
            case sent_back:
            case restarted:
                return send_back(in);
            case step_prepared:
                return prepare(in);
            case step_ready:  // for the engine alone
            case step_executed:
                return;  // its end follows
            case merged:
                run_.commit = in.string("commit").value_or("");
                return;
            case run_ended:
                return end_run(in, time);
        }
    }

    // Also of an engine that took the run over: what its steps did before still holds.
    void start_run(const Fields& in, const std::string& time, const json::object& line)
    {
        run_.run_id = in.string("run_id").value_or("");
        run_.workflow_id = in.string("workflow_id").value_or("");
        run_.name = in.string("name").value_or("");
        run_.path = in.string("path").value_or("");
        run_.hash = in.string("hash").value_or("");
        run_.branch = in.string("branch").value_or("");
        run_.pid = in.integer("pid").value_or(0);
        run_.automatic = in.boolean("automatic").value_or(true);
        if (run_.started_at.empty()) run_.started_at = time;
        run_.ended_at.clear();
        run_.error.clear();
        run_.status = WorkflowStatus::running;
        const auto* const steps = line.if_contains("steps");
        if (steps == nullptr || !steps->is_array()) return;
        for (const auto& step : steps->get_array())
            if (step.is_object()) plan_step(step.get_object());
    }

    void plan_step(const json::object& object)
    {
        std::vector<std::string> ignored;
        const Fields in(&object, ignored);
        auto* const step = find(in.string("id"));
        if (step == nullptr) return;
        step->agent = in.string("agent").value_or("");
        step->action = in.string("action").value_or("");
    }

    void start_step(const Fields& in, const std::string& time)
    {
        auto* const step = find(in.string("step"));
        if (step == nullptr) return;
        reset(*step);
        step->state = StepState::running;
        step->round = count(in, "round");
        step->started_at = time;
        step->execution_id = in.string("execution_id").value_or("");
        step->worktree = in.string("worktree").value_or("");
    }

    void prepare(const Fields& in)
    {
        auto* const step = find(in.string("step"));
        if (step == nullptr) return;
        step->branch = in.string("branch").value_or("");
        if (auto worktree = in.string("worktree")) step->worktree = std::move(*worktree);
    }

    void wait(const Fields& in)
    {
        auto* const step = find(in.string("step"));
        if (step == nullptr) return;
        step->state = StepState::waiting_manual;
        step->round = count(in, "round");
    }

    void end_step(const Fields& in, const std::string& time)
    {
        auto* const step = find(in.string("step"));
        if (step == nullptr) return;
        // It worked from what was taken back meanwhile, and runs again.
        if (in.boolean("discarded").value_or(false)) return reset(*step);
        // Whatever end a later version may know, it is not taken for a success.
        step->state = parse_step_state(in.string("state").value_or("")).value_or(StepState::failed);
        step->round = count(in, "round");
        auto reason = in.string("reason");
        if (!reason) reason = in.object("result").string("error");
        step->reason = std::move(reason).value_or("");
        if (auto id = in.string("execution_id")) step->execution_id = std::move(*id);
        if (auto started = in.string("started_at")) step->started_at = std::move(*started);
        step->ended_at = in.string("ended_at").value_or(time);
        step->attempts = count(in, "attempts");
        step->duration_seconds = in.number("duration_seconds");
        step->commit = in.string("commit").value_or("");
    }

    // A gate that did not pass may make a failure of what had completed.
    void judge(const Fields& in)
    {
        auto* const step = find(in.string("step"));
        const auto state = parse_step_state(in.string("state").value_or(""));
        if (step == nullptr || !state) return;
        step->state = *state;
        if (auto reason = in.string("reason")) step->reason = std::move(*reason);
    }

    void skip_step(const Fields& in, const std::string& time)
    {
        auto* const step = find(in.string("step"));
        if (step == nullptr) return;
        reset(*step);
        step->state = StepState::skipped;
        step->round = count(in, "round");
        step->reason = in.string("reason").value_or("");
        step->ended_at = time;
    }

    void send_back(const Fields& in)
    {
        for (const auto& id : in.strings("steps"))
            if (auto* const step = find(id)) reset(*step);
    }

    void end_run(const Fields& in, const std::string& time)
    {
        run_.status = parse_workflow_status(in.string("status").value_or(""))
                          .value_or(WorkflowStatus::failed);
        run_.error = in.string("error").value_or("");
        run_.ended_at = time;
    }

    /// Pending again; who it is stays, and which round was its last.
    static void reset(StepRecord& step)
    {
        StepRecord fresh;
        fresh.id = std::move(step.id);
        fresh.agent = std::move(step.agent);
        fresh.action = std::move(step.action);
        fresh.round = step.round;
        step = std::move(fresh);
    }

    /// One that the first line did not name is added: that line may be lost.
    StepRecord* find(const std::optional<std::string>& id)
    {
        if (!id || id->empty()) return nullptr;
        const auto [at, fresh] = places_.emplace(*id, run_.steps.size());
        if (fresh) run_.steps.emplace_back().id = *id;
        return &run_.steps[at->second];
    }

    RunRecord run_;
    std::unordered_map<std::string, std::size_t> places_;  // a journal may name very many steps
    std::int64_t seq_ = 0;
};

}  // namespace

RunRecord parse_journal(std::string_view text)
{
    RunReader reader;
    while (!text.empty()) {
        const auto end = text.find('\n');
        if (end == text.npos) {
            reader.skip();  // its writer was stopped in the middle of it
            break;
        }
        reader.add_line(text.substr(0, end));
        text.remove_prefix(end + 1);
    }
    return reader.take();
}

}  // namespace autoexec::workflow
