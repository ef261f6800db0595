#include "support/project.hpp"

#include <doctest/doctest.h>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <csignal>
#include <map>
#include <optional>

using namespace autoexec::test;

namespace {

// An engine that is killed leaves agents that count as lost.
constexpr char patient[] =
    "auto_execution:\n"
    "  limits: {max_parallel: 2}\n"
    "  breaker: {max_failures: 0, max_pause_seconds: 0}\n";

constexpr char until_go[] = "echo $$ >> ran; until test -e go; do sleep 0.02; done";

Words ids_in(const Ended& ended)
{
    CHECK_MESSAGE(ended.code == 0, ended.err);
    return lines_of(ended.out);
}

std::string submit(const Project& project, Words words)
{
    words.insert(words.begin(), {"run", "--detach"});
    const auto ids = ids_in(project.run(std::move(words)));
    REQUIRE(ids.size() == 1);
    return ids.front();
}

bool has_result(const Project& project, const std::string& id)
{
    return fs::exists(project.records() / "queue/ended" / (id + ".json"));
}

std::string status_of(const Project& project, const std::string& id)
{
    const auto text = read_file(project.records() / "queue/ended" / (id + ".json"));
    if (text.empty()) return {};
    return text_at(boost::json::parse(text).at("result").as_object(), "status");
}

pid_t engine_of(const Project& project)
{
    const auto text = read_file(project.records() / "queue/engine.lock");
    return static_cast<pid_t>(boost::json::parse(text).at("pid").as_int64());
}

bool is_idle(const Project& project)
{
    return eventually([&] { return project.processes().empty(); });
}

void kill_engine(const Project& project)
{
    const auto engine = engine_of(project);
    REQUIRE(::kill(engine, SIGKILL) == 0);
    REQUIRE(is_idle(project));
}

// As if another version of the program had the lock.
void set_engine_version(const Project& project, const std::string& version)
{
    const auto file = project.records() / "queue/engine.lock";
    auto engine = boost::json::parse(read_file(file)).as_object();
    engine["version"] = version;
    write_file(file, boost::json::serialize(engine));
}

void wait_for_engine(const Project& project)
{
    REQUIRE(
        eventually([&] { return !read_file(project.records() / "queue/engine.lock").empty(); }));
}

/// An engine that runs one command at once, and runs one until `go` exists.
struct BusyEngine {
    BusyEngine()
    {
        wait_for_engine(project);
        first = submit(project, {until_go});
        project.wait_for_running(1);
    }

    Project project;
    Program engine{project.start({"queue", "run", "--keep", "-j", "1"})};
    std::string first;
};

}  // namespace

TEST_SUITE_BEGIN("queue");

TEST_CASE("a detached command runs after its submission has returned, and its engine ends")
{
    Project project;
    const auto id = submit(project, {"pwd > here; test -t 0 || echo none > terminal"});
    CHECK(eventually([&] { return has_result(project, id); }));
    CHECK(status_of(project, id) == "completed");
    CHECK(lines_of(read_file(project.root() / "here")) == Words{project.root().string()});
    CHECK(is_idle(project));
    CHECK(Project::names_in(project.records() / "queue/started").empty());
    const auto logs = Project::files_in(project.records() / "engines");
    REQUIRE(logs.size() == 1);
    CHECK(contains(read_file(logs.front()), "completed"));
    CHECK(project.metrics().size() == 1);
    CHECK(text_at(project.metrics()[0], "execution_id") == id);
}

TEST_CASE("the end of the terminal does not end what was detached from it")
{
    Project project;
    auto start = project.start({"run", "--detach", until_go});
    start.terminal = true;
    Program program(start);
    CHECK(program.ends_within(default_timeout));
    const auto id = project.wait_for_running(1).front();
    program.hang_up();
    CHECK_FALSE(has_result(project, id));
    project.write("go", "");
    CHECK(eventually([&] { return status_of(project, id) == "completed"; }));
    CHECK(is_idle(project));
}

TEST_CASE("what only makes sense in the foreground is refused with --detach")
{
    Project project;
    for (const auto& words : {Words{"-j", "2"},
                              {"-q"},
                              {"--show-output"},
                              {"--wait"},
                              {"--external-agent"},
                              {"--max-cost", "1"},
                              {"--total-timeout", "1h"},
                              {"--notify", "true"}}) {
        Words all = {"run", "--detach", "true"};
        all.insert(all.end(), words.begin(), words.end());
        const auto ended = project.run(all);
        CHECK(ended.code == 2);
        CHECK_MESSAGE(contains(ended.err, "cannot be combined with --detach"), ended.err);
    }
    CHECK(project.run({"run", "--detach", "true", "-w", "nowhere"}).code == 2);
    CHECK(project.run({"run", "--detach", "true", "--env", "NOT_SET"}).code == 2);
    CHECK(project.run({"run", "--detach", "true", "--new-worktree", "a@nothing"}).code == 2);
    CHECK(project.run({"run", "--detach", "true", "--agent", "nobody"}).code == 3);
    CHECK_FALSE(fs::exists(project.records() / "queue"));
}

TEST_CASE("an engine has its own environment")
{
    Project project;
    project.set("TOKEN", "of the engine");
    Program engine(project.start({"queue", "run", "--keep"}));
    wait_for_engine(project);
    project.set("OTHER", "of the caller");
    project.set("TOKEN", "of the caller");
    const auto refused = project.run({"run", "--detach", "--env", "OTHER", "true"});
    CHECK(refused.code == 2);
    CHECK(contains(refused.err, "OTHER is not in the environment of the engine"));
    const auto id = submit(project, {"--env", "TOKEN", "echo $TOKEN > token"});
    CHECK(eventually([&] { return has_result(project, id); }));
    CHECK(read_file(project.root() / "token") == "of the engine\n");
    engine.signal(SIGTERM);
    CHECK(engine.wait().code == 130);
}

TEST_CASE_FIXTURE(BusyEngine, "commands start by priority, and a second engine does not start any")
{
    submit(project, {"echo low >> order", "--priority", "-1"});
    submit(project, {"echo middle >> order"});
    const auto last = submit(project, {"echo high >> order", "--priority", "5"});
    const auto other = project.run({"queue", "run"});
    CHECK(other.code == 0);
    CHECK(contains(other.err, "runs already: process " + std::to_string(engine.pid())));
    project.write("go", "");
    CHECK(eventually([&] {
        return lines_of(read_file(project.root() / "order")) == Words{"high", "middle", "low"};
    }));
    engine.signal(SIGTERM);
    engine.wait();
    CHECK(status_of(project, first) == "completed");
    CHECK(status_of(project, last) == "completed");
}

TEST_CASE("a new worktree has the commit of the submission")
{
    Project project;
    const auto before = project.git({"rev-parse", "HEAD"});
    Program engine(project.start({"queue", "run", "--keep", "-j", "1"}));
    wait_for_engine(project);
    submit(project, {until_go});
    project.wait_for_running(1);
    const auto id = submit(project, {"git rev-parse HEAD > head", "--new-worktree", "later"});
    project.write("more", "");
    project.git({"add", "more"});
    project.git({"commit", "-q", "-m", "more"});
    project.write("go", "");
    CHECK(eventually([&] { return status_of(project, id) == "completed"; }));
    CHECK(read_file(project.records() / "worktrees/later/head") == before);
    engine.signal(SIGTERM);
    engine.wait();
}

TEST_CASE_FIXTURE(BusyEngine,
                  "a signal ends the engine; what runs is cancelled, and what waits is kept")
{
    const auto second = submit(project, {"true"});
    engine.signal(SIGTERM);
    CHECK(engine.wait().code == 130);
    CHECK(status_of(project, first) == "cancelled");
    CHECK_FALSE(has_result(project, second));
    CHECK(project.run({"queue", "run"}).code == 0);
    CHECK(status_of(project, second) == "completed");
}

TEST_CASE("stop cancels what the engine runs, and keeps what waits")
{
    Project project;
    CHECK(contains(project.run({"stop"}).err, "No engine runs"));
    Program engine(project.start({"queue", "run", "--keep", "-j", "1"}));
    wait_for_engine(project);
    const auto before = submit(project, {"true"});
    CHECK(eventually([&] { return has_result(project, before); }));
    const auto first = submit(project, {until_go});
    project.wait_for_running(1);
    const auto second = submit(project, {"true"});
    Program wait(project.start({"wait", before, second}));
    CHECK(eventually([&] { return contains(wait.out(), "completed"); }));

    const auto stopped = project.run({"stop", "--json"});
    CHECK(stopped.code == 0);
    const auto line = objects_of(stopped.out).at(0);
    CHECK(text_at(line, "state") == "ended");
    CHECK(line.at("pid") == engine.pid());
    CHECK(line.at("queued") == 1);
    CHECK(engine.wait().code == 0);
    CHECK(status_of(project, first) == "cancelled");
    CHECK_FALSE(has_result(project, second));
    CHECK(project.run({"stop"}).code == 0);

    CHECK(eventually([&] { return contains(wait.err(), "was stopped"); }));
    CHECK_FALSE(has_result(project, second));
    CHECK(project.run({"queue", "run"}).code == 0);
    CHECK(wait.wait().code == 0);
}

TEST_CASE_FIXTURE(BusyEngine,
                  "stop --drain lets what runs end, and a later submission starts an engine")
{
    const auto second = submit(project, {"true"});
    CHECK(project.run({"stop", "--drain", "--timeout", "100ms"}).code == 124);
    Program stop(project.start({"stop", "--drain"}));
    project.write("go", "");
    CHECK(stop.wait().code == 0);
    CHECK(engine.wait().code == 0);
    CHECK(status_of(project, first) == "completed");
    CHECK_FALSE(has_result(project, second));
    const auto third = submit(project, {"true"});
    CHECK(eventually([&] { return has_result(project, second) && has_result(project, third); }));
    CHECK(is_idle(project));
}

TEST_CASE("an engine of an older version drains, and one of this version takes over")
{
    Project project;
    Program older(project.start({"queue", "run", "--keep", "-j", "2"}));
    wait_for_engine(project);
    const auto first = submit(project, {until_go});
    project.wait_for_running(1);
    set_engine_version(project, "0.0.1");
    project.set("ONLY_HERE", "1");  // the older engine does not have it
    const auto second = submit(project, {"--env", "ONLY_HERE", "test $ONLY_HERE = 1"});
    const auto third = submit(project, {"-w", project.worktree("third").string(), "true"});
    CHECK(fs::exists(project.records() / "queue/drain"));
    CHECK(engine_of(project) == older.pid());
    // It has room for another one, and starts none.
    CHECK(project.run({"wait", second, third, "--any", "--timeout", "300ms"}).code == 124);
    project.write("go", "");
    CHECK(older.wait().code == 0);
    CHECK(project.run({"wait", first, second, third}).code == 0);
    CHECK(status_of(project, first) == "completed");
    CHECK(is_idle(project));
    CHECK_FALSE(fs::exists(project.records() / "queue/drain"));
    CHECK(lines_of(read_file(project.root() / "ran")).size() == 1);
}

TEST_CASE("an engine of a newer version gets the commands of this one")
{
    Project project;
    Program newer(project.start({"queue", "run", "--keep"}));
    wait_for_engine(project);
    set_engine_version(project, "999.0");
    const auto id = submit(project, {"true"});
    CHECK(project.run({"wait", id}).code == 0);
    CHECK_FALSE(fs::exists(project.records() / "queue/drain"));
    CHECK(engine_of(project) == newer.pid());
    newer.signal(SIGTERM);
    CHECK(newer.wait().code == 130);
}

TEST_CASE("after the death of its engine each command has a result, and none has run twice")
{
    Project project;
    project.write(".tapps-agents/auto_execution_config.yaml", patient);
    std::map<std::string, fs::path> trees;
    Words running;
    for (const auto* const name : {"a", "b", "c", "d"}) {
        const auto tree = project.worktree(name);
        const auto id = submit(project, {until_go, "-w", tree.string()});
        trees[id] = tree;
        if (running.size() < 2) running.push_back(id);
    }
    project.wait_for_running(2);
    for (const auto& id : running)  // recovery may stop a program that has not begun
        REQUIRE(eventually([&] { return fs::exists(trees[id] / "ran"); }));
    kill_engine(project);
    for (const auto& [id, tree] : trees) {
        CHECK_FALSE(has_result(project, id));
        write_file(tree / "go", "");
    }

    SUBCASE("the next engine adopts them") {}
    SUBCASE("an executor in the foreground has recovered them")
    {
        const auto other = project.worktree("other");
        CHECK(project.run({"run", "-q", "-w", other.string(), "true"}).code == 0);
    }
    const auto ended = project.run({"wait", "--all", "--json"});
    CHECK(ended.code == 1);
    CHECK(objects_of(ended.out).size() == 4);
    for (const auto& [id, tree] : trees) {
        const bool was_running = id == running[0] || id == running[1];
        CHECK(status_of(project, id) == (was_running ? "failed" : "completed"));
        CHECK(lines_of(read_file(tree / "ran")).size() == 1);
    }
    CHECK(is_idle(project));
    CHECK(project.run({"wait", "--all"}).out.empty());
}

TEST_CASE("a command that is safe to run twice runs again after the death of its engine")
{
    Project project;
    project.write(".tapps-agents/auto_execution_config.yaml", patient);
    const auto id = submit(project, {"--idempotent", until_go});
    REQUIRE(eventually([&] { return fs::exists(project.root() / "ran"); }));
    kill_engine(project);
    project.write("go", "");
    const auto ended = project.run({"wait", id});
    CHECK(ended.code == 0);
    CHECK(contains(ended.out, "completed"));
    CHECK(lines_of(read_file(project.root() / "ran")).size() == 2);
    CHECK(is_idle(project));
}

TEST_CASE("a worktree that a killed engine has created is used by the next one")
{
    Project project;
    const auto id = submit(project, {"true"});
    REQUIRE(is_idle(project));
    // As if the engine had been killed after it had created the worktree.
    const auto queue = project.records() / "queue";
    auto request = boost::json::parse(R"({"version": "1.0", "priority": 0, "command": {
        "command": "echo >> ran", "idempotent": false, "agent": "autoexec run"}})")
                       .as_object();
    const std::string other = id.substr(0, id.size() - 4) + "0000";
    request["id"] = other;
    auto head = project.git({"rev-parse", "HEAD"});
    head.pop_back();
    bool creating = true;
    SUBCASE("made by it") {}
    SUBCASE("of another user")
    {
        creating = false;
    }
    request["command"].as_object()["new_worktree"] = {
        {"name", "tree"}, {"commit", head}, {"creating", creating}};
    project.git({"worktree", "add", "-q", "-b", "workflow/tree",
                 (project.records() / "worktrees/tree").string()});
    fs::create_directories(queue / "started");
    const auto file = queue / "started" / (other + ".json");
    write_file(file, boost::json::serialize(request));
    fs::permissions(file, fs::perms(0600));
    CHECK(project.run({"queue", "run"}).code == 0);
    CHECK(status_of(project, other) == (creating ? "completed" : "failed"));
    CHECK(fs::exists(project.records() / "worktrees/tree/ran") == creating);
}

TEST_CASE("wait prints results and ends with the exit code of run")
{
    Project project;
    project.write(".tapps-agents/auto_execution_config.yaml", patient);
    const auto good = submit(project, {"true"});
    CHECK(project.run({"wait", good}).code == 0);
    const auto bad = submit(project, {"exit 3", "--retry", "0"});
    const auto ended = project.run({"wait", good.substr(good.size() - 8), bad, "--json"});
    CHECK(ended.code == 1);
    const auto lines = objects_of(ended.out);
    REQUIRE(lines.size() == 2);
    CHECK(text_at(lines[0], "execution_id") == good);
    CHECK(lines[1].at("exit_code") == 3);
    CHECK(project.run({"wait", "no-such-id"}).code == 2);
    CHECK(project.run({"wait"}).code == 2);
    CHECK(project.run({"wait", "--all", good}).code == 2);

    const auto slow = submit(project, {until_go});
    const auto late = project.run({"wait", slow, "--timeout", "100ms"});
    CHECK(late.code == 124);
    CHECK(contains(late.err, "1 of 1 have not ended"));
    CHECK(project.run({"wait", "--any", slow, good}).code == 0);
    project.write("go", "");
    CHECK(project.run({"wait", "--all"}).code == 0);
    CHECK(is_idle(project));
}

TEST_CASE("wait also waits for a command in the foreground")
{
    Project project;
    Program engine(project.start({"run", until_go}));
    const auto id = project.wait_for_running(1).front();
    Program wait(project.start({"wait", id}));
    project.write("go", "");
    CHECK(engine.wait().code == 0);
    const auto ended = wait.wait();
    CHECK(ended.code == 0);
    CHECK(ended.out.starts_with("completed"));
    CHECK(project.run({"wait", id}).code == 0);
}

TEST_CASE("wait does not take a command between two attempts for ended")
{
    Project project;
    project.write(".tapps-agents/auto_execution_config.yaml", patient);
    Program run(project.start(
        {"run", "--retry", "1", "--idempotent",
         "test -e again || { touch again; until test -e go; do sleep 0.02; done; exit 1; }"}));
    const auto id = project.wait_for_running(1).front();
    CHECK(project.run({"pause"}).code == 0);
    project.write("go", "");
    CHECK(eventually([&] { return contains(run.err(), "paused: starts are paused"); }));
    CHECK(project.run({"wait", id, "--timeout", "300ms"}).code == 124);
    const auto entries = objects_of(project.run({"status", "--json"}).out);
    REQUIRE(entries.size() == 2);
    CHECK(text_at(entries[0], "state") == "starting");
    CHECK(text_at(entries[0], "execution_id") == id);
    CHECK(project.run({"resume"}).code == 0);
    const auto ended = project.run({"wait", id});
    CHECK(ended.code == 0);
    CHECK(contains(ended.out, "(attempt 2)"));
    CHECK(run.wait().code == 0);
}

TEST_CASE("a command between two attempts can be cancelled")
{
    Project project;
    project.write(".tapps-agents/auto_execution_config.yaml", patient);
    Words words{"run", "--json",       "--retry",
                "1",   "--idempotent", "until test -e go; do sleep 0.02; done; exit 1"};
    bool is_detached = false;
    Words cancel{"cancel"};
    SUBCASE("by its id") {}
    SUBCASE("with all others")
    {
        cancel.emplace_back("--all");
    }
    SUBCASE("by its id, of the queue")
    {
        is_detached = true;
    }
    if (is_detached) words.insert(words.begin() + 1, "--detach");
    Program run(project.start(words));
    const auto id = project.wait_for_running(1).front();
    if (cancel.size() == 1) cancel.push_back(id);
    CHECK(project.run({"pause"}).code == 0);
    project.write("go", "");
    REQUIRE(eventually([&] {
        const auto entries = objects_of(project.run({"status", "--json"}).out);
        return !entries.empty() && text_at(entries[0], "state") == "starting";
    }));
    if (!is_detached) {
        const auto refused = project.run({"rerun", id});
        CHECK(refused.code == 2);
        CHECK_MESSAGE(contains(refused.err, "has not ended"), refused.err);
    }
    const auto cancelled = project.run(cancel);
    CHECK_MESSAGE(cancelled.code == 0, cancelled.err);
    CHECK(contains(cancelled.out, " has ended"));
    CHECK(run.wait().code == (is_detached ? 0 : 130));
    const auto result = project.run({"wait", "--json", id});
    CHECK(result.code == 130);
    CHECK(text_at(objects_of(result.out).at(0), "status") == "cancelled");
    CHECK(project.run({"resume"}).code == 0);
    CHECK(project.metrics().size() == 1);
    CHECK(eventually([&] { return project.processes().empty(); }));
}

namespace {

/// A run in the foreground of three commands, of which the last two wait.
struct ForegroundRun {
    ForegroundRun()
    {
        project.write(".tapps-agents/auto_execution_config.yaml", patient);
        Words words{"run", "--json", "-j", "1", until_go};
        for (const auto& tree : trees) words.insert(words.end(), {"-w", tree.string()});
        program.emplace(project.start(std::move(words)));
        project.wait_for_running(1);
        REQUIRE(eventually([this] { return queued().size() == 2; }));
    }

    /// The ids of the requests in the queue.
    [[nodiscard]] Words queued() const
    {
        Words ids;
        for (const auto& name : Project::names_in(project.records() / "queue"))
            if (name.ends_with(".json")) ids.push_back(name.substr(0, name.size() - 5));
        return ids;
    }
    void go() const
    {
        for (const auto& tree : trees) write_file(tree / "go", "");
    }
    [[nodiscard]] std::size_t times_run(std::size_t tree) const
    {
        return lines_of(read_file(trees[tree] / "ran")).size();
    }

    Project project;
    std::vector<fs::path> trees{project.worktree("a"), project.worktree("b"),
                                project.worktree("c")};
    std::optional<Program> program;
};

}  // namespace

TEST_CASE("a run in the foreground keeps what waits in the queue, for the case of a kill")
{
    ForegroundRun run;
    const auto& project = run.project;
    std::size_t queued = 0;
    for (const auto& entry : objects_of(project.run({"status", "--json"}).out))
        queued += text_at(entry, "state") == "queued";
    CHECK(queued == 2);
    // An engine leaves it alone.
    CHECK(project.run({"queue", "run"}).code == 0);
    CHECK(run.queued().size() == 2);

    SUBCASE("it ends by itself")
    {
        run.go();
        const auto ended = run.program->wait();
        CHECK(ended.code == 0);
        CHECK(objects_of(ended.out).size() == 3);
        CHECK(Project::names_in(project.records() / "queue/ended").empty());
    }
    SUBCASE("it is killed, and the next engine runs what waits")
    {
        const auto ids = run.queued();
        run.program->signal(SIGKILL);
        run.program->wait();
        REQUIRE(is_idle(project));
        run.go();
        CHECK(project.run({"queue", "run"}).code == 0);
        for (const auto& id : ids) CHECK(status_of(project, id) == "completed");
    }
    CHECK(run.queued().empty());
    CHECK(Project::names_in(project.records() / "queue/started").empty());
    for (std::size_t i = 0; i < run.trees.size(); ++i) CHECK(run.times_run(i) == 1);
}

TEST_CASE("what waits of a run in the foreground is cancelled with it")
{
    ForegroundRun run;
    const auto ids = run.queued();
    run.program->signal(SIGINT);
    const auto ended = run.program->wait();
    CHECK(ended.code == 130);
    for (const auto& line : objects_of(ended.out)) CHECK(text_at(line, "status") == "cancelled");
    CHECK(run.queued().empty());
    for (const auto& id : ids) CHECK(status_of(run.project, id) == "cancelled");
    CHECK(run.project.run({"wait", "--all"}).out.empty());
    CHECK(run.times_run(1) + run.times_run(2) == 0);
}

TEST_CASE("a command of a run in the foreground that waits can be cancelled")
{
    ForegroundRun run;
    const auto id = run.queued().front();
    CHECK(run.project.run({"cancel", id}).code == 0);
    CHECK(status_of(run.project, id) == "cancelled");
    run.go();
    const auto ended = run.program->wait();
    std::map<std::string, int> ends;
    for (const auto& line : objects_of(ended.out)) {
        ++ends[text_at(line, "status")];
        if (text_at(line, "execution_id") == id) CHECK(text_at(line, "status") == "cancelled");
    }
    CHECK(ends["completed"] == 2);
    CHECK(ends["cancelled"] == 1);
    CHECK(run.times_run(1) + run.times_run(2) == 1);
}

TEST_CASE_FIXTURE(BusyEngine, "queued commands can be cancelled, one or all")
{
    const auto one = submit(project, {"touch one"});
    const auto two = submit(project, {"touch two"});
    CHECK(project.run({"cancel", one}).code == 0);
    CHECK(status_of(project, one) == "cancelled");
    CHECK_FALSE(has_result(project, two));
    CHECK(project.run({"wait", one}).code == 130);
    CHECK(lines_of(project.run({"cancel", "--all"}).out).size() == 2);
    CHECK(status_of(project, first) == "cancelled");
    CHECK(status_of(project, two) == "cancelled");
    CHECK(project.run({"cancel"}).code == 2);
    CHECK(contains(project.run({"cancel", "--all"}).err, "No commands"));
    engine.signal(SIGTERM);
    engine.wait();
    CHECK_FALSE(fs::exists(project.root() / "one"));
    CHECK_FALSE(fs::exists(project.root() / "two"));
}

TEST_CASE("a workflow runs detached, and wait has its end")
{
    Project project;
    project.write("w.yaml",
                  "workflow:\n  id: w\n  name: W\n  version: 1.0.0\n  steps:\n"
                  "    - {id: a, command: \"until test -e go; do sleep 0.02; done\"}\n");
    const auto started = project.run({"workflow", "run", "w.yaml", "--in-place", "--detach"});
    REQUIRE_MESSAGE(started.code == 0, started.err);
    const auto run = lines_of(started.out).at(0);
    CHECK(project.run({"wait", run, "--timeout", "50ms"}).code == 124);
    project.write("go", "");
    const auto ended = project.run({"wait", run});
    CHECK(ended.code == 0);
    CHECK(ended.out.starts_with("completed"));
    CHECK(is_idle(project));
    const auto invalid = project.run({"workflow", "run", "nothing.yaml", "--detach"});
    CHECK(invalid.code != 0);
    CHECK(invalid.out.empty());
}

TEST_SUITE_END();
