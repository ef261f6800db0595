#include "workflow/journal/journal.hpp"

#include "support/planted.hpp"
#include "support/temporary_folder.hpp"
#include "support/time_zone.hpp"
#include "text/json.hpp"
#include "text/text.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>
#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <functional>
#include <set>
#include <thread>
#include <variant>

using namespace autoexec;
using namespace autoexec::test;
using namespace autoexec::workflow;
using namespace std::chrono_literals;

namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using std::chrono::system_clock;

constexpr system_clock::time_point when =
    std::chrono::sys_days{std::chrono::year{2026} / 1 / 20} + 21h + 36s + 129110us;

/// Fails the calls that it is told to, from 1.
struct FaultyDisk final : records::Disk {
    int fail_sync = 0;
    int fail_write = 0;
    int cut_write = 0;
    bool fail_truncate = false;
    int syncs = 0;
    int writes = 0;

    ssize_t write(int fd, std::string_view text) override
    {
        ++writes;
        if (writes == cut_write) text = text.substr(0, text.size() / 2);
        if (writes == fail_write) return fail(EIO);
        return Disk::write(fd, text);
    }
    int sync(int fd) override { return ++syncs == fail_sync ? fail(EIO) : Disk::sync(fd); }
    int truncate(int fd, off_t size) override
    {
        return fail_truncate ? fail(EPERM) : Disk::truncate(fd, size);
    }
    static int fail(int error)
    {
        errno = error;
        return -1;
    }
};

struct Project : TemporaryFolder {
    std::string problem;
    error_code ec;

    [[nodiscard]] fs::path state() const { return *this / ".tapps-agents/workflow-state"; }
    [[nodiscard]] fs::path file(const std::string& run_id) const
    {
        return state() / (text::file_name_of(run_id) + ".jsonl");
    }
    [[nodiscard]] std::vector<std::string> names() const
    {
        std::vector<std::string> names;
        for (const auto& entry : fs::directory_iterator(state()))
            names.push_back(entry.path().filename());
        std::sort(names.begin(), names.end());
        return names;
    }

    Journal create(const std::string& workflow = "w", system_clock::time_point now = when)
    {
        auto journal = Journal::create(path(), workflow, now, Durability::process, ec);
        REQUIRE_MESSAGE(journal, ec.message());
        return std::move(*journal);
    }
    Journal take_over(const std::string& run_id)
    {
        auto journal = Journal::take_over(path(), run_id, Durability::process, ec);
        REQUIRE_MESSAGE(journal, ec.message());
        return std::move(*journal);
    }
    RunRecord read(const std::string& run_id)
    {
        auto run = read_run(path(), run_id, problem);
        REQUIRE_MESSAGE(run, problem);
        CHECK(problem.empty());
        return *run;
    }
};

/// While it lives, no file of this process grows beyond `bytes`.
class FullDisk {
public:
    explicit FullDisk(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN))
    {
        ::getrlimit(RLIMIT_FSIZE, &before_);
        auto limited = before_;
        limited.rlim_cur = bytes;
        ::setrlimit(RLIMIT_FSIZE, &limited);
    }
    ~FullDisk()
    {
        ::setrlimit(RLIMIT_FSIZE, &before_);
        std::signal(SIGXFSZ, handler_);
    }
    FullDisk(const FullDisk&) = delete;
    FullDisk& operator=(const FullDisk&) = delete;

private:
    rlimit before_{};
    void (*handler_)(int);
};

std::string line_of(const json::object& line)
{
    return text::dump_line(line) + "\n";
}

/// A line with the three keys that each has.
std::string line(std::int64_t seq, std::string_view event, const json::object& more = {})
{
    json::object all{
        {"seq", seq}, {"time", text::iso_utc(when + std::chrono::seconds(seq))}, {"event", event}};
    all.insert(more.begin(), more.end());
    return line_of(all);
}

std::chrono::system_clock::time_point time_of(std::int64_t seq)
{
    return when + std::chrono::seconds(seq);
}

json::array planned_steps()
{
    return {json::object{{"id", "plan"}, {"agent", "planner"}, {"action", "plan"}},
            json::object{{"id", "build"}, {"agent", "implementer"}, {"action", "implement"}},
            json::object{{"id", "review"}, {"agent", "reviewer"}, {"action", "review"}}};
}

json::object start_of_run(std::string_view run_id = "w-1")
{
    return {{"run_id", run_id},    {"workflow_id", "w"}, {"name", "A workflow"},
            {"path", "w.yaml"},    {"hash", "abc"},      {"pid", 42},
            {"automatic", false},  {"fail_fast", false}, {"max_parallel", 0},
            {"worktree", "/tree"}, {"params", {}},       {"steps", planned_steps()}};
}

json::object end_of_step(std::string_view step, int round, std::string_view state)
{
    return {{"step", step},
            {"round", round},
            {"state", state},
            {"reason", nullptr},
            {"tolerated", false},
            {"execution_id", "e-" + std::string(step)},
            {"attempts", 2},
            {"started_at", text::iso_utc(time_of(100))},
            {"ended_at", text::iso_utc(time_of(200))},
            {"duration_seconds", 1.5},
            {"provided", json::array{"a.md"}}};
}

/// A run in which a review sends the building back, and is never finished.
std::string whole_story()
{
    return line(1, "run_started", start_of_run()) +
           line(2, "step_started",
                {{"step", "plan"}, {"round", 1}, {"execution_id", "e0"}, {"worktree", "/t"}}) +
           line(3, "step_ended", end_of_step("plan", 1, "completed")) +
           line(4, "step_started", {{"step", "build"}, {"round", 1}, {"execution_id", "e1"}}) +
           line(5, "step_ended", end_of_step("build", 1, "completed")) +
           line(6, "step_started", {{"step", "review"}, {"round", 1}, {"execution_id", "e2"}}) +
           line(7, "step_ended", end_of_step("review", 1, "completed")) +
           line(8, "gate_judged", {{"step", "review"}, {"round", 1}, {"passed", false}}) +
           line(9, "sent_back",
                {{"step", "review"},
                 {"round", 1},
                 {"to", "build"},
                 {"steps", json::array{"build", "review"}}}) +
           line(10, "step_started", {{"step", "build"}, {"round", 2}, {"execution_id", "e3"}});
}

/// The transition of such a line.
protocol::Transition transition(std::string_view event, const json::object& more)
{
    auto text = line(1, event, more);
    text.pop_back();
    const auto entry = protocol::read_journal_entry(text, 0);
    REQUIRE(entry);
    return entry->transition;
}

protocol::Transition run_start(std::string_view run_id = "w-1")
{
    return transition("run_started", start_of_run(run_id));
}

std::vector<std::int64_t> numbers_of(const RunRecord& run)
{
    std::vector<std::int64_t> numbers;
    for (const auto& entry : run.transitions) numbers.push_back(entry.seq);
    return numbers;
}

/// A reader may have the lock for a moment: `take_over` does not wait for it.
std::optional<Journal> patient_take_over(const fs::path& project, const std::string& run_id,
                                         error_code& ec)
{
    for (;;) {
        auto journal = Journal::take_over(project, run_id, Durability::process, ec);
        if (ec != boost::system::errc::resource_unavailable_try_again) return journal;
        std::this_thread::yield();
    }
}

const StepRecord& step_of(const RunRecord& run, std::string_view id)
{
    const auto at = std::ranges::find(run.steps, id, &StepRecord::id);
    REQUIRE(at != run.steps.end());
    return *at;
}

int shared_lock(const fs::path& file)
{
    const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    REQUIRE(::flock(fd, LOCK_SH | LOCK_NB) == 0);
    return fd;
}

}  // namespace

TEST_SUITE_BEGIN("journal");

TEST_CASE("a journal tells what became of each step, and of the run")
{
    const auto run = parse_journal(whole_story());
    CHECK(run.run_id == "w-1");
    CHECK(run.workflow_id == "w");
    CHECK(run.name == "A workflow");
    CHECK(run.path == "w.yaml");
    CHECK(run.hash == "abc");
    CHECK(run.pid == 42);
    CHECK_FALSE(run.automatic);
    CHECK(run.started_at == time_of(1));
    CHECK_FALSE(run.ended_at);
    CHECK(run.status == WorkflowStatus::running);
    CHECK(run.transitions.size() == 10);
    CHECK(run.skipped_lines == 0);
    REQUIRE(run.steps.size() == 3);

    CHECK(run.steps[0].id == "plan");
    CHECK(run.steps[0].agent == "planner");
    CHECK(run.steps[0].action == "plan");
    CHECK(run.steps[0].state == StepState::completed);
    CHECK(run.steps[0].round == 1);
    CHECK(run.steps[0].started_at == time_of(100));
    CHECK(run.steps[0].ended_at == time_of(200));
    CHECK(run.steps[0].execution_id == "e-plan");
    CHECK(run.steps[0].worktree == "/t");
    CHECK(run.steps[0].attempts == 2);
    CHECK(run.steps[0].duration_seconds == 1.5);

    // Its second round has begun: nothing of the first is left.
    CHECK(run.steps[1].state == StepState::running);
    CHECK(run.steps[1].round == 2);
    CHECK(run.steps[1].started_at == time_of(10));
    CHECK_FALSE(run.steps[1].ended_at);
    CHECK(run.steps[1].execution_id == "e3");
    CHECK(run.steps[1].attempts == 0);
    CHECK_FALSE(run.steps[1].duration_seconds);

    // Sent back, and not begun again.
    CHECK(run.steps[2].state == StepState::pending);
    CHECK(run.steps[2].round == 1);
    CHECK(run.steps[2].agent == "reviewer");
    CHECK_FALSE(run.steps[2].ended_at);
}

TEST_CASE("every other transition is understood, too")
{
    const auto run = parse_journal(
        line(1, "run_started", start_of_run()) +
        line(2, "step_waiting", {{"step", "plan"}, {"round", 1}}) +
        line(3, "step_skipped",
             {{"step", "build"}, {"round", 0}, {"reason", "Not now."}, {"goes_on", true}}) +
        line(4, "step_ended",
             {{"step", "review"},
              {"round", 3},
              {"state", "timeout"},
              {"result", json::object{{"error", "Out of time."}}}}) +
        line(5, "run_ended", {{"status", "failed"}, {"error", "A step failed."}}));
    CHECK(step_of(run, "plan").state == StepState::waiting_manual);
    CHECK(step_of(run, "plan").round == 1);
    CHECK(step_of(run, "build").state == StepState::skipped);
    CHECK(step_of(run, "build").reason == "Not now.");
    CHECK(step_of(run, "build").ended_at == time_of(3));
    CHECK(step_of(run, "review").state == StepState::timeout);
    CHECK(step_of(run, "review").reason == "Out of time.");
    CHECK(step_of(run, "review").round == 3);
    CHECK(step_of(run, "review").ended_at == time_of(4));
    CHECK(run.status == WorkflowStatus::failed);
    CHECK(run.error == "A step failed.");
    CHECK(run.ended_at == time_of(5));
}

TEST_CASE("what a manual step waits for, and its answer, are in the journal")
{
    protocol::StepWaiting waiting{"plan", 2, ManualWait{"May it?", "Ada", time_of(9), true}};
    protocol::StepEnded ended;
    ended.result.id = "plan";
    ended.result.state = StepState::completed;
    ended.result.answer = StepAnswer{StepDecision::approved, "ada@host", "yes", time_of(5)};
    const auto start = line(1, "run_started", start_of_run());
    const auto waits = protocol::format_journal_entry(2, time_of(2), waiting) + "\n";
    auto run = parse_journal(start + waits);
    CHECK(step_of(run, "plan").state == StepState::waiting_manual);
    CHECK(step_of(run, "plan").wait == waiting.wait);
    const protocol::StepExecuted executed{ended.result, StepState::completed, {}, {}};
    const auto answered = protocol::format_journal_entry(3, time_of(3), executed) + "\n";
    run = parse_journal(start + waits + answered);
    CHECK(step_of(run, "plan").state == StepState::running);
    CHECK_FALSE(step_of(run, "plan").wait);
    CHECK(step_of(run, "plan").answer == ended.result.answer);
    run = parse_journal(start + waits + answered +
                        protocol::format_journal_entry(4, time_of(4), ended) + "\n");
    CHECK(step_of(run, "plan").state == StepState::completed);
    CHECK(step_of(run, "plan").answer == ended.result.answer);
    // A text of a person does not fill it.
    waiting.wait->text = std::string(1'000'000, 'x');
    CHECK(protocol::format_journal_entry(2, time_of(2), waiting).size() < 20'000);
}

TEST_CASE("a gate can fail the step that it judges")
{
    const auto ended = line(1, "step_ended", end_of_step("review", 1, "completed"));
    const json::object verdict{{"step", "review"}, {"round", 1}, {"passed", false}};
    auto failing = verdict;
    failing["state"] = "failed";
    failing["reason"] = "Below 8.";
    const auto kept = parse_journal(ended + line(2, "gate_judged", verdict));
    CHECK(step_of(kept, "review").state == StepState::completed);
    CHECK(step_of(kept, "review").reason.empty());
    const auto failed = parse_journal(ended + line(2, "gate_judged", failing));
    CHECK(step_of(failed, "review").state == StepState::failed);
    CHECK(step_of(failed, "review").reason == "Below 8.");
    CHECK(step_of(failed, "review").ended_at == time_of(200));
}

TEST_CASE("a step whose end is discarded runs again")
{
    auto discarded = end_of_step("build", 2, "cancelled");
    discarded["discarded"] = true;
    const auto run = parse_journal(whole_story() + line(11, "step_ended", discarded));
    CHECK(step_of(run, "build").state == StepState::pending);
    CHECK(step_of(run, "build").round == 2);
    CHECK_FALSE(step_of(run, "build").ended_at);
}

TEST_CASE("a resumed run continues where it stopped")
{
    auto again = start_of_run();
    again["pid"] = 43;
    const auto run = parse_journal(line(1, "run_started", start_of_run()) +
                                   line(2, "step_ended", end_of_step("plan", 1, "completed")) +
                                   line(3, "run_ended", {{"status", "failed"}, {"error", "x"}}) +
                                   line(4, "run_started", again));
    CHECK(run.status == WorkflowStatus::running);
    CHECK(run.started_at == time_of(1));
    CHECK_FALSE(run.ended_at);
    CHECK(run.error.empty());
    CHECK(run.pid == 43);
    CHECK(run.steps.size() == 3);
    CHECK(step_of(run, "plan").state == StepState::completed);
}

TEST_CASE("a run that waits for its group is active again, until its next transition")
{
    auto text = whole_story() + line(100, "run_ended", {{"status", "failed"}, {"error", "no"}}) +
                line(101, "run_waiting",
                     {{"group", "deploy"}, {"run", "r-1"}, {"cancels", false}, {"pid", 77}});
    const auto waiting = parse_journal(text);
    CHECK(waiting.waits_for == RunWait{"deploy", "r-1"});
    CHECK(waiting.status == WorkflowStatus::running);
    CHECK(waiting.error.empty());
    CHECK_FALSE(waiting.ended_at);
    CHECK(waiting.pid == 77);
    text += line(102, "run_ended", {{"status", "cancelled"}});
    const auto ended = parse_journal(text);
    CHECK_FALSE(ended.waits_for);
    CHECK(ended.status == WorkflowStatus::cancelled);
}

TEST_CASE("however a journal is truncated, its complete lines count")
{
    const auto text = whole_story();
    for (std::size_t length = 0; length <= text.size(); ++length) {
        const auto whole = text.substr(0, length).rfind('\n') + 1;
        const auto cut = parse_journal({text.data(), length});
        const auto expected = parse_journal({text.data(), whole});
        CAPTURE(length);
        CHECK(cut.skipped_lines == (whole < length ? 1 : 0));
        CHECK(expected.skipped_lines == 0);
        REQUIRE(numbers_of(cut) == numbers_of(expected));
        REQUIRE(cut.steps.size() == expected.steps.size());
        for (std::size_t i = 0; i < cut.steps.size(); ++i) {
            CHECK(cut.steps[i].state == expected.steps[i].state);
            CHECK(cut.steps[i].round == expected.steps[i].round);
        }
    }
}

std::vector<std::string> sample_lines(const char* name)
{
    auto text = read_file(fs::path(AUTOEXEC_SOURCE_DIR) / "test/data/v1.2" / name);
    std::vector<std::string> lines;
    for (std::size_t end = 0; (end = text.find('\n')) != text.npos; text.erase(0, end + 1))
        lines.push_back(text.substr(0, end));
    return lines;
}

TEST_CASE("journals of version 1.2 are read, and written the same")
{
    std::set<std::size_t> kinds;
    for (const auto* const name : {"journal.jsonl", "journal-manual.jsonl", "journal-retries.jsonl",
                                   "journal-items.jsonl", "journal-group.jsonl"})
        for (const auto& sample : sample_lines(name)) {
            CAPTURE(sample);
            const auto entry = protocol::read_journal_entry(sample, 0);
            REQUIRE(entry);
            kinds.insert(entry->transition.index());
            REQUIRE(entry->time);
            CHECK(protocol::format_journal_entry(entry->seq, *entry->time, entry->transition) ==
                  sample);
        }
    // All but events of later versions.
    CHECK(kinds.size() == std::variant_size_v<protocol::Transition> - 1);
    CHECK_FALSE(kinds.contains(0));
}

TEST_CASE("the journal of a resumed run of version 1.2 gives its record")
{
    const auto run =
        parse_journal(read_file(fs::path(AUTOEXEC_SOURCE_DIR) / "test/data/v1.2/journal.jsonl"));
    CHECK(run.skipped_lines == 0);
    CHECK(run.transitions.size() == 46);
    CHECK(run.status == WorkflowStatus::completed);
    CHECK(run.branch == "workflow/" + run.run_id);
    CHECK(run.commit == "190c6d347d64ec68ebb75dec75fee0eaf77396bf");
    CHECK(step_of(run, "write").round == 2);
    CHECK(step_of(run, "write").attempts == 1);
    CHECK(step_of(run, "write").duration_seconds == 0.276);
    CHECK(step_of(run, "odd").state == StepState::skipped);
    CHECK(step_of(run, "odd").reason == "/bin/sh exited with code 3: broken");
    CHECK(step_of(run, "never").state == StepState::skipped);
    CHECK(step_of(run, "last").state == StepState::completed);
    CHECK(step_of(run, "after").state == StepState::completed);
}

TEST_CASE("an agent's text does not fill the journal")
{
    protocol::StepEnded end;
    end.result.id = "s";
    end.result.reason = std::string(100'000, 'x');
    end.result.execution.emplace().error = CommandError{end.result.reason, {}, {}, 0};
    end.result.execution->artifacts.assign(5000, "a");
    const auto line = protocol::format_journal_entry(1, when, end);
    CHECK(line.size() < 80'000);
    const auto entry = protocol::read_journal_entry(line, 0);
    REQUIRE(entry);
    const auto& read = std::get<protocol::StepEnded>(entry->transition).result;
    CHECK(read.reason.ends_with("x…"));
    CHECK(read.execution->artifacts.size() == 1000);
}

TEST_CASE("without its first line a journal still has the other data")
{
    const auto text = whole_story();
    const auto run = parse_journal(std::string_view(text).substr(text.find('\n') + 1));
    CHECK(run.run_id.empty());
    CHECK_FALSE(run.started_at);
    CHECK(run.steps.size() == 3);
    CHECK(step_of(run, "build").state == StepState::running);
    CHECK(step_of(run, "build").agent.empty());
}

TEST_CASE("lines that are no transitions are counted and left out")
{
    const auto first = line(5, "run_started", start_of_run());
    for (const std::string bad :
         {"\n", "[]\n", "null\n", "torn{\n", "{\"seq\": 6}\n", "{\"event\": \"run_ended\"}\n",
          "{\"seq\": \"6\", \"event\": \"run_ended\"}\n",
          "{\"seq\": 6, \"seq\": 7, \"event\": \"run_ended\"}\n",
          "{\"seq\": 6.5, \"event\": \"run_ended\"}\n",
          "{\"seq\": 9223372036854775807, \"event\": \"run_ended\"}\n",
          "{\"seq\": 6, \"event\": null}\n", "\xff\xfe\n"}) {
        CAPTURE(bad);
        const auto run = parse_journal(first + bad + line(6, "step_waiting", {{"step", "plan"}}));
        CHECK(run.skipped_lines == 1);
        CHECK(run.transitions.size() == 2);
        CHECK(run.status == WorkflowStatus::running);
        CHECK(step_of(run, "plan").state == StepState::waiting_manual);
    }
}

TEST_CASE("a number that does not rise belongs to no transition of this run")
{
    const auto run = parse_journal(line(1, "run_started", start_of_run()) +
                                   line(4, "step_waiting", {{"step", "plan"}}) +
                                   line(4, "run_ended", {{"status", "completed"}}) +
                                   line(3, "run_ended", {{"status", "completed"}}) +
                                   line(0, "run_ended", {{"status", "completed"}}) +
                                   line(-1, "run_ended", {{"status", "completed"}}));
    CHECK(run.skipped_lines == 4);
    CHECK(run.status == WorkflowStatus::running);
}

TEST_CASE("what a later version writes changes nothing, and is no success")
{
    const auto run = parse_journal(
        line(1, "run_started", start_of_run()) + line(2, "step_paused", {{"step", "plan"}}) +
        line(3, "step_ended", {{"step", "build"}, {"round", 1}, {"state", "transcended"}}) +
        line(4, "run_ended", {{"status", "ascended"}}));
    CHECK(run.skipped_lines == 0);
    CHECK(run.transitions.size() == 4);
    CHECK(step_of(run, "plan").state == StepState::pending);
    CHECK(step_of(run, "build").state == StepState::failed);
    CHECK(run.status == WorkflowStatus::failed);
}

TEST_CASE("fields of the wrong type count as absent")
{
    const auto run = parse_journal(
        line(1, "run_started",
             {{"run_id", 5}, {"pid", "x"}, {"automatic", 1}, {"steps", json::array{1, {}, "a"}}}) +
        line(2, "step_started", {{"step", json::array{}}}) + line(3, "step_started") +
        line(4, "step_started", {{"step", ""}}) +
        line(5, "step_started", {{"step", "s"}, {"round", -5}, {"execution_id", 1}}) +
        line(6, "sent_back", {{"steps", "s"}}));
    CHECK(run.skipped_lines == 0);
    CHECK(run.run_id.empty());
    CHECK(run.automatic);
    REQUIRE(run.steps.size() == 1);
    CHECK(run.steps[0].state == StepState::running);
    CHECK(run.steps[0].round == 0);
}

TEST_CASE("a round leaves room for those after it")
{
    const auto round_of = [](std::int64_t round) {
        return step_of(parse_journal(line(1, "step_started", {{"step", "s"}, {"round", round}})),
                       "s")
            .round;
    };
    CHECK(round_of(1'000'000'000) == 1'000'000'000);
    CHECK(round_of(2'147'483'647) == 0);
}

TEST_CASE("very many steps are folded in time that grows with their number")
{
    std::string text;
    for (int i = 1; i <= 100'000; ++i)
        text += R"({"seq":)" + std::to_string(i) + R"(,"event":"step_waiting","step":")" +
                std::to_string(i) + "\"}\n";
    CHECK(parse_journal(text).steps.size() == 100'000);
}

TEST_CASE_FIXTURE(Project, "a journal is a file of its user alone, named after its run")
{
    const TimeZone zone("UTC-5:30");
    const auto journal = create("full-sdlc");
    CHECK(journal.run_id() == "full-sdlc-20260121-023036-129110");
    CHECK(names() == std::vector<std::string>{"full-sdlc-20260121-023036-129110.jsonl"});
    CHECK(fs::status(file(journal.run_id())).permissions() == fs::perms(0600));
    CHECK(fs::status(state()).permissions() == fs::perms(0700));
}

TEST_CASE_FIXTURE(Project, "each transition is one line that begins with number, time and event")
{
    auto journal = create();
    CHECK_FALSE(journal.append(protocol::StepWaiting{"plan", 2}, when));
    CHECK_FALSE(journal.append(protocol::RunEnded{WorkflowStatus::completed, {}}, when + 1s));
    CHECK(read_file(file(journal.run_id())) ==
          R"({"seq": 1, "time": "2026-01-20T21:00:36.129110+00:00", "event": "step_waiting", )"
          R"("step": "plan", "round": 2})"
          "\n"
          R"({"seq": 2, "time": "2026-01-20T21:00:37.129110+00:00", "event": "run_ended", )"
          R"("status": "completed", "error": null})"
          "\n");
}

TEST_CASE_FIXTURE(Project, "runs of the same microsecond have different ids")
{
    const TimeZone zone("UTC");
    const auto first = create();
    const auto second = create();
    const auto third = create("w", when + 1us);
    CHECK(first.run_id() == "w-20260120-210036-129110");
    CHECK(second.run_id() == "w-20260120-210036-129111");
    CHECK(third.run_id() == "w-20260120-210036-129112");
    CHECK(create("w", when + 870'890us).run_id() == "w-20260120-210037-000000");
    CHECK(names().size() == 4);
}

TEST_CASE_FIXTURE(Project, "whatever the id, the journal stays in its folder")
{
    std::vector<std::string> ids;
    for (const std::string id : {"..", "../../out", "/etc/passwd", "", "a\nb", "-rf", "cancel"}) {
        CAPTURE(id);
        auto journal = create(id);
        REQUIRE_FALSE(journal.append(run_start(journal.run_id()), when));
        CHECK(read(journal.run_id()).run_id == journal.run_id());
        CHECK(fs::is_regular_file(file(journal.run_id())));
        CHECK_FALSE(ask_to_cancel_run(path(), id));
        CHECK(take_run_cancel(path(), id));
        ids.push_back(journal.run_id());
    }
    const auto long_one = create(std::string(5000, 'x'));
    CHECK(names().size() == ids.size() + 1);
    CHECK(std::distance(fs::directory_iterator(path()), {}) == 1);
    auto listed = list_runs(path());
    std::sort(listed.begin(), listed.end());
    std::sort(ids.begin(), ids.end());
    CHECK(listed == ids);  // the long one has not said who it is
    CHECK_FALSE(read_run(path(), "../workflow-state/cancel-x", problem));
}

TEST_CASE_FIXTURE(Project, "a run is alive as long as its executor has its journal")
{
    std::string id;
    {
        auto journal = create();
        id = journal.run_id();
        REQUIRE_FALSE(journal.append(run_start(id), when));
        CHECK(read(id).alive);
        auto moved = std::move(journal);
        CHECK(read(id).alive);
    }
    CHECK_FALSE(read(id).alive);
    const auto again = take_over(id);
    CHECK(read(id).alive);
}

TEST_CASE_FIXTURE(Project, "readers of a journal do not take each other for an executor")
{
    const auto id = create().run_id();
    const int looking = shared_lock(file(id));
    CHECK_FALSE(read(id).alive);
    ::close(looking);
}

TEST_CASE_FIXTURE(Project, "a journal that another executor has is not taken over")
{
    const auto journal = create();
    CHECK_FALSE(Journal::take_over(path(), journal.run_id(), Durability::process, ec));
    CHECK(ec == errc::worktree_busy);
}

TEST_CASE_FIXTURE(Project, "a held run is not resumed, and an active run is not held")
{
    const auto left = [this](const Journal& journal) {
        return files::UniqueFd(::dup(journal.descriptor()));
    };
    std::string id;
    files::UniqueFd program;
    {
        const auto journal = create();
        id = journal.run_id();
        program = left(journal);
        CHECK_FALSE(hold_run(path(), id, ec));
        CHECK(ec == errc::worktree_busy);
    }
    CHECK_FALSE(hold_run(path(), id, ec));
    CHECK(ec == errc::worktree_busy);
    program = files::UniqueFd();
    {
        const auto held = hold_run(path(), id, ec);
        CHECK(held);
        CHECK_FALSE(Journal::take_over(path(), id, Durability::process, ec));
        CHECK(ec == errc::worktree_busy);
    }
    CHECK(take_over(id).is_settled());
    CHECK_FALSE(hold_run(path(), "another", ec));
    CHECK(ec == boost::system::errc::no_such_file_or_directory);
}

TEST_CASE_FIXTURE(Project, "readers of a journal do not block an executor")
{
    const auto id = create().run_id();
    const int looking = shared_lock(file(id));
    std::atomic<bool> stop = false;
    std::thread reader([&] {
        while (!stop) {
            ::flock(looking, LOCK_UN);
            ::flock(looking, LOCK_SH | LOCK_NB);
        }
    });
    int taken = 0;
    for (int i = 0; i < 50; ++i) taken += patient_take_over(path(), id, ec).has_value();
    stop = true;
    reader.join();
    ::close(looking);
    CHECK(taken == 50);
}

TEST_CASE_FIXTURE(Project, "a journal is continued after a truncation at any byte")
{
    const auto text = whole_story();
    const auto before_all = parse_journal(text);
    for (std::size_t length = 0; length <= text.size(); length += length < 200 ? 1 : 13) {
        CAPTURE(length);
        write_file(file("r"), text.substr(0, length));
        const auto before = numbers_of(parse_journal(text.substr(0, length)));
        CHECK_FALSE(take_over("r").append(protocol::RunEnded{WorkflowStatus::cancelled, {}}, when));
        const auto run = read("r");
        CHECK(run.skipped_lines == 0);
        CHECK(run.status == WorkflowStatus::cancelled);
        REQUIRE(run.transitions.size() == before.size() + 1);
        const auto numbers = numbers_of(run);
        CHECK(std::equal(before.begin(), before.end(), numbers.begin()));
        CHECK(numbers.back() == static_cast<std::int64_t>(before.size()) + 1);
    }
}

TEST_CASE_FIXTURE(Project, "numbers go on after the last that counts, whatever stands behind it")
{
    write_file(file("r"), line(7, "run_started", start_of_run("r")) + "garbage\n" +
                              line(3, "run_ended", {{"status", "completed"}}) + "{\"torn");
    CHECK_FALSE(take_over("r").append(protocol::RunEnded{WorkflowStatus::cancelled, {}}, when));
    const auto run = read("r");
    CHECK(run.transitions.back().seq == 8);
    CHECK(run.status == WorkflowStatus::cancelled);
    CHECK(run.skipped_lines == 2);
}

TEST_CASE_FIXTURE(Project, "what is not there is not taken over")
{
    CHECK_FALSE(Journal::take_over(path(), "r", Durability::process, ec));
    CHECK(ec == boost::system::errc::no_such_file_or_directory);
    const auto other = create();
    CHECK_FALSE(Journal::take_over(path(), "r", Durability::process, ec));
    CHECK(ec == boost::system::errc::no_such_file_or_directory);
    CHECK(names().size() == 1);
}

TEST_CASE_FIXTURE(Project, "what is no regular file is never a journal")
{
    const auto target = *this / "target";
    write_file(target, whole_story());
    fs::permissions(target, fs::perms(0600));
    for (const auto kind : all_planted) {
        CAPTURE(name_of(kind));
        if (!plant(kind, file("r"), target)) {
            MESSAGE("may not create ", name_of(kind));
            continue;
        }
        CHECK_FALSE(read_run(path(), "r", problem));
        CHECK(problem.starts_with("The journal of run r cannot be read: it is a"));
        CHECK_FALSE(Journal::take_over(path(), "r", Durability::process, ec));
        CHECK(ec);
        CHECK(list_runs(path()).empty());
        CHECK(read_file(target) == whole_story());
        fs::remove_all(file("r"));
    }
}

TEST_CASE_FIXTURE(Project, "a folder that leads elsewhere is not followed")
{
    const TemporaryFolder elsewhere;
    fs::create_directories(elsewhere / "workflow-state/cancel");
    fs::create_directory_symlink(elsewhere.path(), *this / ".tapps-agents");
    CHECK_FALSE(Journal::create(path(), "w", when, Durability::process, ec));
    CHECK(ec == errc::unsafe_path);
    write_file(elsewhere / "workflow-state/r.jsonl", whole_story());
    CHECK_FALSE(Journal::take_over(path(), "r", Durability::process, ec));
    CHECK_FALSE(read_run(path(), "r", problem));
    CHECK(problem.starts_with("The journal of run r cannot be read: "));
    CHECK(list_runs(path()).empty());
    write_file(elsewhere / "workflow-state/cancel/r", "");
    CHECK_FALSE(take_run_cancel(path(), "r"));
    CHECK(ask_to_cancel_run(path(), "q") == errc::unsafe_path);
    CHECK(fs::exists(elsewhere / "workflow-state/cancel/r"));
    CHECK_FALSE(fs::exists(elsewhere / "workflow-state/cancel/q"));
}

TEST_CASE_FIXTURE(Project, "a missing run is distinguished from one that cannot be read")
{
    CHECK_FALSE(read_run(path(), "r\n", problem));
    CHECK(problem == "There is no run r\\n.");
    const auto other = create();
    CHECK_FALSE(read_run(path(), "r", problem));
    CHECK(problem == "There is no run r.");
    write_file(file("r"), "");
    fs::resize_file(file("r"), 64 * 1024 * 1024 + 1);
    CHECK_FALSE(read_run(path(), "r", problem));
    CHECK(problem == "The journal of run r cannot be read: it is larger than 67108864 bytes");
    CHECK_FALSE(Journal::take_over(path(), "r", Durability::process, ec));
    CHECK(ec == errc::file_too_large);
}

TEST_CASE_FIXTURE(Project,
                  "on a full disk a journal stays as it was, and goes on when there is room")
{
    auto journal = create();
    REQUIRE_FALSE(journal.append(run_start(), when));
    const auto before = read_file(file(journal.run_id()));
    for (const std::size_t room : {0, 1, 50, 1000}) {
        CAPTURE(room);
        error_code failure;
        {
            const FullDisk full(before.size() + room);
            failure = journal.append(protocol::Merged{std::string(2000, 'x'), {}}, when);
        }
        CHECK(failure == (room == 0 ? boost::system::errc::file_too_large
                                    : boost::system::errc::no_space_on_device));
        CHECK(read_file(file(journal.run_id())) == before);
    }
    CHECK_FALSE(journal.append(protocol::RunEnded{}, when));
    CHECK(read(journal.run_id()).transitions.back().seq == 2);
    CHECK(read(journal.run_id()).skipped_lines == 0);
}

TEST_CASE_FIXTURE(Project, "a line that cannot be cut off again is the last one")
{
    FaultyDisk disk;
    disk.cut_write = 2;
    auto journal = Journal::create(path(), "w", when, Durability::process, ec, disk);
    REQUIRE(journal);
    REQUIRE_FALSE(journal->append(run_start(), when));
    disk.fail_truncate = true;
    CHECK(journal->append(protocol::StepWaiting{"plan", 1}, when));
    disk.fail_truncate = false;
    CHECK(journal->append(protocol::RunEnded{}, when));
    CHECK(disk.writes == 2);
    const auto run = read(journal->run_id());
    CHECK(run.transitions.size() == 1);
    CHECK(run.skipped_lines == 1);
}

TEST_CASE_FIXTURE(Project, "a write that failed has left nothing, and the next one counts")
{
    FaultyDisk disk;
    disk.fail_write = 1;
    auto journal = Journal::create(path(), "w", when, Durability::process, ec, disk);
    REQUIRE(journal);
    CHECK(journal->append(run_start(), when) == boost::system::errc::io_error);
    CHECK_FALSE(journal->append(run_start(), when));
    CHECK(read(journal->run_id()).transitions.at(0).seq == 1);
}

TEST_CASE_FIXTURE(Project, "only where power may fail, everything is synced")
{
    FaultyDisk disk;
    auto journal = Journal::create(path(), "w", when, Durability::process, ec, disk);
    REQUIRE(journal);
    CHECK_FALSE(journal->append(run_start(), when));
    CHECK(disk.syncs == 0);
    journal = Journal::create(path(), "w", when, Durability::power, ec, disk);
    REQUIRE(journal);
    CHECK(disk.syncs == 3);  // its folder, and those that may be new
    CHECK_FALSE(journal->append(run_start(), when));
    CHECK(disk.syncs == 4);
}

TEST_CASE_FIXTURE(Project, "a folder that cannot be synced gets no journal")
{
    for (int call = 1; call <= 3; ++call) {
        FaultyDisk disk;
        disk.fail_sync = call;
        CHECK_FALSE(Journal::create(path(), "w", when, Durability::power, ec, disk));
        CHECK(ec == boost::system::errc::io_error);
        CHECK(names().empty());
    }
}

TEST_CASE_FIXTURE(Project, "after a failed sync the line is lost, and no second sync is trusted")
{
    FaultyDisk disk;
    disk.fail_sync = 5;
    auto journal = Journal::create(path(), "w", when, Durability::power, ec, disk);
    REQUIRE(journal);
    REQUIRE_FALSE(journal->append(run_start(), when));
    const auto before = read_file(file(journal->run_id()));
    CHECK(journal->append(protocol::RunEnded{}, when) == boost::system::errc::io_error);
    CHECK(journal->append(protocol::RunEnded{}, when) == boost::system::errc::io_error);
    CHECK(disk.syncs == 5);
    CHECK(read_file(file(journal->run_id())) == before);
}

TEST_CASE_FIXTURE(Project, "a torn line that cannot be cut off is an error, not a swallowed line")
{
    write_file(file("r"), "{\"torn");
    FaultyDisk disk;
    disk.fail_truncate = true;
    CHECK_FALSE(Journal::take_over(path(), "r", Durability::process, ec, disk));
    CHECK(ec == boost::system::errc::operation_not_permitted);
}

TEST_CASE_FIXTURE(Project, "a journal that was taken away ends, and nothing is written any more")
{
    auto journal = create();
    REQUIRE_FALSE(journal.append(run_start(), when));
    const auto path = file(journal.run_id());
    CHECK(journal.path() == path);
    SUBCASE("removed")
    {
        fs::remove(path);
    }
    SUBCASE("moved")
    {
        fs::rename(path, path.parent_path() / "aside");
    }
    SUBCASE("replaced by a copy")
    {
        fs::copy_file(path, path.parent_path() / "copy");
        fs::rename(path.parent_path() / "copy", path);
    }
    SUBCASE("emptied")
    {
        fs::resize_file(path, 0);
    }
    SUBCASE("cut")
    {
        fs::resize_file(path, fs::file_size(path) - 1);
    }
    SUBCASE("in a folder that was moved")
    {
        fs::rename(path.parent_path(), path.parent_path().string() + "-aside");
    }
    std::error_code ignored;
    const auto size = fs::file_size(path, ignored);
    for (int tries = 0; tries < 2; ++tries)
        CHECK(journal.append(protocol::StepWaiting{"plan", 1}, when) == errc::journal_lost);
    CHECK(fs::file_size(path, ignored) == size);
}

TEST_CASE_FIXTURE(Project, "a journal that is taken away while its last line is written is lost")
{
    struct RemovingDisk final : records::Disk {
        fs::path path;
        ssize_t write(int fd, std::string_view text) override
        {
            const auto written = Disk::write(fd, text);
            fs::remove(path);
            return written;
        }
    };
    RemovingDisk disk;
    auto journal = Journal::create(path(), "w", when, Durability::process, ec, disk);
    REQUIRE(journal);
    disk.path = journal->path();
    CHECK(journal->append(protocol::RunEnded{WorkflowStatus::completed, {}}, when) ==
          errc::journal_lost);
}

TEST_CASE_FIXTURE(Project, "what no reader would take is not written")
{
    auto journal = create();
    REQUIRE_FALSE(journal.append(run_start(), when));
    const auto before = read_file(file(journal.run_id()));
    json::value deep = nullptr;
    for (std::size_t i = 2; i < text::json_depth_limit; ++i)
        deep = i % 2 == 0 ? json::value(json::array{deep}) : json::value(json::object{{"d", deep}});
    protocol::RunStarted start;
    start.params = {{"d", json::array{deep}}};
    CHECK(journal.append(start, when) == errc::invalid_options);
    CHECK(journal.append(protocol::Merged{std::string(64 << 20, 'x'), {}}, when) ==
          errc::file_too_large);
    CHECK(read_file(file(journal.run_id())) == before);
    start.params = {{"d", deep}};
    CHECK_FALSE(journal.append(start, when));
    CHECK(read(journal.run_id()).skipped_lines == 0);
}

TEST_CASE_FIXTURE(Project, "runs are listed newest first, by their start and not by their files")
{
    CHECK(list_runs(path()).empty());
    const auto started = [](std::string_view id, const char* time) {
        return line_of({{"seq", 1}, {"time", time}, {"event", "run_started"}, {"run_id", id}});
    };
    write_file(file("new"), started("new", "2026-01-20T10:00:00+00:00"));
    write_file(file("a"), started("a", "2026-01-19T10:00:00.500000+00:00"));
    write_file(file("b"), started("b", "2026-01-19T12:00:00.500000+02:00"));
    write_file(file("old"), started("old", "2026-01-19T10:00:00+00:00"));
    write_file(file("odd/id"), started("odd/id", "2026-01-18T10:00:00+00:00") + "more\n");
    // Without a time that is known: last. Where the name tells no id, nobody could ask for it.
    write_file(file("empty"), "");
    write_file(file("garbage"), "garbage\n");
    write_file(file("copy"), started("new", "2026-01-17T10:00:00+00:00"));
    write_file(file("with/slash"), "{\"seq\": 1");
    write_file(state() / "other.json", "{}");
    fs::create_directory(state() / "folder.jsonl");
    CHECK(list_runs(path()) ==
          std::vector<std::string>{"new", "b", "a", "old", "odd/id", "copy", "garbage", "empty"});
    CHECK(read("copy").run_id == "copy");
}

TEST_CASE_FIXTURE(Project, "a first line of any length is listed, up to a bound")
{
    const auto first_line = [](std::size_t padding) {
        return line(1, "run_started", {{"run_id", "r"}, {"padding", std::string(padding, 'x')}});
    };
    const auto least = first_line(0).size();
    for (const std::size_t size : {16'383, 16'384, 16'385, 40'000, 1'000'000}) {
        CAPTURE(size);
        write_file(file("r"), first_line(size - least) + line(2, "run_ended"));
        write_file(file("s"), line(0, "run_started", {{"run_id", "s"}}));
        CHECK(list_runs(path()) == std::vector<std::string>{"r", "s"});
    }
    write_file(file("r"), "{\"a\": \"");
    fs::resize_file(file("r"), std::uintmax_t{1} << 40);
    CHECK(list_runs(path()) == std::vector<std::string>{"s", "r"});
}

TEST_CASE_FIXTURE(Project, "a wish to cancel is taken once")
{
    CHECK_FALSE(take_run_cancel(path(), "r"));
    CHECK_FALSE(ask_to_cancel_run(path(), "r"));
    CHECK_FALSE(ask_to_cancel_run(path(), "r"));
    CHECK_FALSE(ask_to_cancel_run(path(), "other/run"));
    CHECK(fs::exists(state() / "cancel/r"));
    CHECK_FALSE(take_run_cancel(path(), "s"));
    CHECK(take_run_cancel(path(), "r"));
    CHECK_FALSE(take_run_cancel(path(), "r"));
    CHECK(take_run_cancel(path(), "other/run"));
    CHECK(names().empty());
    CHECK(list_runs(path()).empty());
}

TEST_SUITE_END();
