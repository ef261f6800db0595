#include "autoexec/config.hpp"
#include "config/settings.hpp"
#include "logging/log.hpp"
#include "notify/notifications.hpp"
#include "protocol/control_files.hpp"
#include "protocol/usage.hpp"
#include "records/budget.hpp"
#include "records/debug_log.hpp"
#include "support/agent_fixture.hpp"
#include "support/executor_fixture.hpp"
#include "support/scripted_spawner.hpp"

#include <sys/stat.h>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <optional>

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

// A setting that does nothing is worse than none. Each one has a row here: two values, and
// something that can be seen from outside and differs between them.

namespace {

std::string words(bool yes, std::string_view if_yes, std::string_view if_no)
{
    return std::string(yes ? if_yes : if_no);
}

/// One command over a worktree in memory, in virtual time, by an executor that is configured.
struct Engine : ExecutorFixture {
    explicit Engine(const AutoExecutionConfig& config) { configure(config); }

    void configure(const AutoExecutionConfig& config)
    {
        const auto ports = options;
        options = executor_options(config, project.path());
        options.clock = ports.clock;
        options.handoff = ports.handoff;
        options.random = ports.random;
        options.tree_state = ports.tree_state;
        options.free_resources = ports.free_resources;
    }
    // Settings that are not looked at must not get in the way.
    void run(CommandRequest r)
    {
        start(std::move(r));
        clock->run(ctx);
    }
    void run() { run(request()); }
    [[nodiscard]] std::string after() const
    {
        return fmt::format("{} s", result.duration.count() / 1000.0);
    }
    [[nodiscard]] std::string end() const
    {
        if (ec) return ec.message();
        return result.error ? result.error->code : std::string(to_string(result.status));
    }
};

std::string refused_start(const AutoExecutionConfig& config)
{
    TemporaryFolder project;
    records::Budget budget(config.budget, {}, records::Folder::of({}, project.path(), "metrics"));
    const auto now = testing::VirtualClock::epoch;
    auto refusal = budget.refusal(now);
    Usage usage;
    usage.input_tokens = 5;
    usage.cost_usd = 5;
    (void)budget.add("e", usage, now);
    return refusal + budget.refusal(now);
}

std::string attempts_within_budget(const AutoExecutionConfig& config)
{
    Engine engine(config);
    engine.tree.on_publish = [&] {
        engine.tree.take();
        auto status = engine.tree.status(ReportedStatus::failed);
        status.error = CommandError{"boom", "", true, 0};
        status.usage.emplace().input_tokens = 5;
        status.usage->cost_usd = 5;
        engine.tree.report(status);
    };
    engine.run();
    return fmt::format("{} attempts, {}", engine.result.attempts, engine.end());
}

/// What one notification of a kind starts, or rings.
std::string notified(const AutoExecutionConfig& config, notify::Kind kind)
{
    asio::io_context ctx;
    const auto spawner = std::make_shared<ScriptedSpawner>();
    std::string seen;
    spawner->on_wait = [&](ScriptedProgram& program) {
        seen += program.spec.argv.front() + " ";
        program.exit(0);
    };
    notify::NotificationsOptions options;
    options.clock = std::make_shared<VirtualClock>();
    options.spawner = spawner;
    options.config = config.notify;
    if (!config.notify.program.empty()) options.program = {config.notify.program};
    options.ring = [&](std::string_view) { seen += "bell "; };
    options.report = [&](const std::string& problem) { seen += problem; };
    notify::Notification notification;
    notification.kind = kind;
    std::make_shared<notify::Notifications>(ctx.get_executor(), options)->add(notification);
    ctx.poll();
    return seen;
}

std::function<std::string(AutoExecutionConfig)> rings_for(notify::Kind kind)
{
    return [kind](AutoExecutionConfig config) {
        config.notify.bell = true;
        return notified(config, kind);
    };
}

std::string told_of_an_end(AutoExecutionConfig config)
{
    config.notify.completed = true;
    return notified(config, notify::Kind::completed);
}

std::string estimate(const AutoExecutionConfig& config)
{
    Usage usage;
    usage.input_tokens = 1'000'000;
    usage.model = "m";
    return to_text(protocol::Spending(usage, config.executor.prices));
}

std::string attempts(const AutoExecutionConfig& config)
{
    Engine engine(config);
    engine.tree.on_publish = [&] { engine.tree.fail("boom", "", true); };
    engine.run();
    return fmt::format("{} attempts", engine.result.attempts);
}

// Retries at 0.5 of the longest delay: the test's random numbers are all that.
std::string retried_after(const AutoExecutionConfig& config)
{
    Engine engine(config);
    engine.options.retry.max_attempts = 4;
    engine.tree.on_publish = [&] { engine.tree.fail("boom", "", true); };
    engine.run();
    return engine.after();
}

void fail_with(MemoryTree& tree, std::string code,
               std::optional<std::chrono::milliseconds> retry_after = {})
{
    tree.take();
    auto status = tree.status(ReportedStatus::failed);
    status.error = CommandError{"boom", std::move(code), {}, 0, retry_after};
    tree.report(status);
}

CommandRequest request_for_agent()
{
    auto r = Engine::request();
    r.agent = "claude";
    return r;
}

std::string runs_of_three(const AutoExecutionConfig& config)
{
    Engine engine(config);
    engine.tree.on_publish = [&] { fail_with(engine.tree, "auth"); };
    for (int i = 0; i < 3; ++i) engine.run(request_for_agent());
    return fmt::format("{} runs", engine.tree.published.size());
}

// A failure, and when the command after it has ended.
std::string tested_after(AutoExecutionConfig config,
                         std::optional<std::chrono::milliseconds> retry_after)
{
    config.executor.breaker.max_failures = 1;
    Engine engine(config);
    engine.tree.on_publish = [&] {
        if (engine.tree.published.size() == 1)
            return fail_with(engine.tree, "network", retry_after);
        engine.tree.take();
        engine.tree.complete();
    };
    for (int i = 0; i < 2; ++i) engine.run(request_for_agent());
    return fmt::format("{}", engine.clock->elapsed().count());
}

std::string seen_after(const AutoExecutionConfig& config, std::chrono::seconds reported)
{
    Engine engine(config);
    engine.tree.on_publish = [&] { engine.tree.take(); };
    engine.clock->at(reported, [&] { engine.tree.complete(); });
    engine.run();
    return engine.after();
}

std::string seen_without_notice(const AutoExecutionConfig& config)
{
    Engine engine(config);
    engine.options.notifier = std::make_shared<CoveringNotifier>();
    engine.tree.on_publish = [&] { engine.tree.take(); };
    engine.clock->at(2s, [&] { engine.tree.complete(); });
    engine.run();
    return engine.after();
}

std::string silence_ends_after(const AutoExecutionConfig& config)
{
    Engine engine(config);
    engine.options.start_timeout = 0ms;
    engine.options.retry.max_attempts = 1;
    engine.run();
    return engine.after() + ", " + engine.end();
}

std::string taken_and_silent(const AutoExecutionConfig& config)
{
    Engine engine(config);
    engine.options.retry.max_attempts = 1;
    engine.tree.on_publish = [&] {
        engine.tree.take();
        engine.tree.write(engine.tree.status(ReportedStatus::running));
    };
    engine.run();
    return engine.end();
}

std::string asks_and_completes(const AutoExecutionConfig& config)
{
    Engine engine(config);
    engine.options.retry.max_attempts = 1;
    engine.tree.on_publish = [&] {
        engine.tree.take();
        auto status = engine.tree.status(ReportedStatus::running);
        status.waiting_for = Question{QuestionKind::question, "1", "Which port?", {}, {}};
        engine.tree.write(status);
    };
    engine.clock->at(10s, [&] { engine.tree.complete(); });
    engine.run();
    return engine.end();
}

std::string end_with(const AutoExecutionConfig& config, FreeResources free)
{
    Engine engine(config);
    engine.options.free_resources = [free] { return free; };
    engine.tree.on_publish = [&] { engine.tree.complete(); };
    engine.run();
    return engine.end();
}

std::string nobody_takes_it(const AutoExecutionConfig& config)
{
    Engine engine(config);
    engine.options.retry.max_attempts = 1;
    engine.run();
    return engine.end();
}

std::string total(const AutoExecutionConfig& config)
{
    Engine engine(config);
    engine.options.timeout = 20s;
    auto r = Engine::request();
    r.idempotent = true;
    engine.run(std::move(r));
    return fmt::format("{} attempts", engine.result.attempts);
}

std::string stopped_after(const AutoExecutionConfig& config)
{
    Engine engine(config);
    engine.options.timeout = 30s;
    engine.tree.on_publish = [&] { engine.tree.take(); };
    engine.run();
    return fmt::format("{} s", engine.clock->elapsed() / 1s);
}

std::string by_artifacts(const AutoExecutionConfig& config)
{
    Engine engine(config);
    engine.options.timeout = 60s;
    engine.options.start_timeout = 0ms;
    engine.options.retry.max_attempts = 1;
    auto r = Engine::request();
    r.expected_artifacts = {"a.txt"};
    engine.clock->at(3s, [&] { engine.tree.create("a.txt"); });
    engine.run(std::move(r));
    return engine.end();
}

std::string progress(const AutoExecutionConfig& config)
{
    Engine engine(config);
    engine.clock->at(1s, [&] {
        auto s = engine.tree.status(ReportedStatus::running);
        s.progress = Progress{50, "", ""};
        engine.tree.write(s);
    });
    engine.clock->at(20s, [&] { engine.tree.complete(); });
    engine.run();
    return words(engine.result.last_progress.has_value(), "progress", "no progress");
}

std::string records(const AutoExecutionConfig& config, const char* folder)
{
    Engine engine(config);
    engine.tree.on_publish = [&] { engine.tree.complete(); };
    engine.run();
    return words(fs::exists(engine.project / (std::string(".tapps-agents/") + folder)), "written",
                 "not written");
}

std::string unrecorded(const AutoExecutionConfig& config)
{
    Engine engine(config);
    engine.project.write(".tapps-agents/audit", "not a folder");
    engine.tree.on_publish = [&] { engine.tree.complete(); };
    engine.start(Engine::request());
    engine.clock->run_until(engine.ctx, 60s);  // lines that are not written are retried for ever
    return words(engine.tree.published.empty(), "not started", "started");
}

std::string two_at_once(const AutoExecutionConfig& config)
{
    Engine engine(config);
    std::size_t most = 0;
    std::size_t now = 0;
    for (const auto* const path : {"/a", "/b"}) {
        auto& tree = engine.handoff->at(path);
        tree.on_publish = [&] { most = std::max(most, ++now); };
    }
    engine.clock->at(9s, [&] {
        for (const auto* const path : {"/a", "/b"})
            if (engine.handoff->at(path).command) engine.handoff->at(path).complete(), --now;
    });
    engine.clock->at(30s, [&] {
        for (const auto* const path : {"/a", "/b"})
            if (engine.handoff->at(path).command) engine.handoff->at(path).complete();
    });
    engine.start(CommandRequest("one", "/a"));
    engine.start(CommandRequest("two", "/b"));
    engine.clock->run(engine.ctx);
    return fmt::format("{} at once", most);
}

/// The same over files.
struct FileEngine : Engine {
    explicit FileEngine(const AutoExecutionConfig& config) : Engine(config)
    {
        options.handoff = nullptr;
        options.timeout = 20s;
        options.start_timeout = 0ms;
        options.retry.max_attempts = 1;
        fs::create_directory(worktree);
    }
    void hand_over() { run(CommandRequest("build", worktree)); }
    const fs::path worktree = project / "tree";
};

std::string large_status(const AutoExecutionConfig& config)
{
    FileEngine engine(config);
    engine.clock->at(1s, [&] {
        write_file(engine.worktree / control_files::status,
                   R"({"status": "completed", "output": ")" + std::string(5000, 'x') + "\"}");
    });
    engine.hand_over();
    return engine.end();
}

std::string other_status_name(const AutoExecutionConfig& config)
{
    FileEngine engine(config);
    engine.clock->at(
        1s, [&] { write_file(engine.worktree / "done.json", R"({"status": "completed"})"); });
    engine.hand_over();
    return engine.end();
}

std::string command_mode(const AutoExecutionConfig& config)
{
    FileEngine engine(config);
    mode_t mode = 0;
    engine.clock->at(1s, [&] {
        struct stat info {};
        REQUIRE(::stat((engine.worktree / control_files::command).c_str(), &info) == 0);
        mode = info.st_mode & 0777;
    });
    engine.hand_over();
    return fmt::format("{:o}", mode);
}

std::string busy(const AutoExecutionConfig& config)
{
    Engine engine(config);
    engine.tree.lock_error = errc::worktree_busy;
    engine.tree.on_publish = [&] { engine.tree.complete(); };
    engine.clock->at(20s, [&] { engine.tree.lock_error = {}; });
    engine.run();
    return engine.end();
}

std::string secret(const AutoExecutionConfig& config)
{
    Engine engine(config);
    engine.tree.on_publish = [&] { engine.tree.complete(); };
    engine.run(Engine::request("deploy --token ghp_0123456789abcdefghijklmnopqrstuvwxyzAB"));
    return fmt::format("{}, {} warnings", engine.end(),
                       engine.sink->count(EventType::secret_in_command));
}

/// An audit log that is configured; its time stands still.
struct Trail {
    explicit Trail(const AutoExecutionConfig& config)
    {
        auto options = audit_options(config, project.path());
        options.clock = clock;
        logger.emplace(ctx.get_executor(), options);
    }
    void log(int events)
    {
        for (int i = 0; i < events; ++i) logger->log_event(AuditRecord("event"));
        ctx.restart();
        ctx.poll();
    }
    [[nodiscard]] std::ptrdiff_t files() const
    {
        const auto folder = project / ".tapps-agents/audit";
        if (!fs::exists(folder)) return 0;
        const fs::directory_iterator all(folder);
        return std::count_if(begin(all), end(all), [](const auto& entry) {
            return entry.path().filename().string().starts_with("execution_audit.log");
        });
    }
    TemporaryFolder project;
    std::shared_ptr<VirtualClock> clock = std::make_shared<VirtualClock>();
    asio::io_context ctx;
    std::optional<AuditLogger> logger;
};

std::string audit_files(const AutoExecutionConfig& config)
{
    Trail trail(config);
    for (int i = 0; i < 60; ++i) trail.log(1);
    return fmt::format("{} files", trail.files());
}

std::string keyed_audit_log(const AutoExecutionConfig& config)
{
    try {
        Trail trail(config);
        trail.log(1);
        return fmt::format("{} files", trail.files());
    } catch (const system_error& e) {
        return e.what();
    }
}

std::string rotated_audit_files(AutoExecutionConfig config)
{
    config.executor.max_audit_bytes = 1024;
    return audit_files(config);
}

std::string written_at_once(const AutoExecutionConfig& config)
{
    Trail trail(config);
    trail.log(1);
    return words(trail.files() > 0, "written", "in memory");
}

/// An agent that is configured, with scripted programs.
struct Worker : AgentFixture {
    explicit Worker(const AutoExecutionConfig& config)
    {
        const auto ports = options;
        options = agent_options(config, project.path());
        options.worktrees = ports.worktrees;
        options.find_worktrees = false;
        options.clock = ports.clock;
        options.notifier = ports.notifier;
        options.spawner = ports.spawner;
        options.agents = ports.agents;
    }
    void run_scan() { run_for(options.scan_interval + 1ms); }
};

std::string kept_output(const AutoExecutionConfig& config)
{
    Worker worker(config);
    worker.start();
    worker.engine.publish();
    worker.run_scan();
    worker.program().print(std::string(3000, 'x') + "\n");
    worker.exit(0);
    return words(worker.log().size() > 2500, "whole", "cut");
}

std::string tail_of_output(const AutoExecutionConfig& config)
{
    Worker worker(config);
    worker.start();
    worker.engine.publish();
    worker.run_scan();
    worker.program().print(std::string(3000, 'x') + "\n");
    worker.exit(0);
    return words(worker.final_status().output.value_or("").size() > 2500, "whole", "cut");
}

std::string programs_at_once(const AutoExecutionConfig& config)
{
    Worker worker(config);
    EngineSide second(worker.project / "second");
    worker.options.worktrees.push_back(second.tree());
    worker.engine.publish();
    second.publish();
    worker.start();
    worker.run_scan();
    const auto running = worker.spawner->running();
    worker.stop();
    return fmt::format("{} programs", running);
}

std::string found_within_five_seconds(const AutoExecutionConfig& config)
{
    Worker worker(config);
    worker.start();
    worker.run_for(1ms);
    worker.engine.publish();
    worker.run_for(5s);
    return words(worker.spawner->running() == 1, "found", "not yet");
}

std::string folder_found_within_five_seconds(const AutoExecutionConfig& config)
{
    Worker worker(config);
    worker.options.find_worktrees = true;
    worker.options.worktrees.clear();
    worker.options.agents = agents_from(R"(
agents:
  - {name: dev, type: background, commands: ['run {command}'], watch_paths: ['*/.cursor-skill-command.txt']}
)");
    worker.start();
    worker.run_for(1ms);
    EngineSide late(worker.project / "late");
    late.publish();
    worker.run_for(5s);
    const auto running = worker.spawner->running();
    worker.stop();
    return words(running == 1, "found", "not yet");
}

std::string beats(const AutoExecutionConfig& config)
{
    Worker worker(config);
    worker.start();
    worker.engine.publish();
    worker.run_scan();
    const auto before = worker.spy->seen.size();
    worker.run_for(1min);
    return words(worker.spy->seen.size() - before > 5, "many beats", "few beats");
}

std::string asked_long_ago(const AutoExecutionConfig& config)
{
    Worker worker(config);
    worker.options.agents = agents_from(R"(
agents:
  - name: acp
    type: background
    driver: acp
    commands: [fake]
    permissions: [{allow: ask}]
)");
    worker.start();
    worker.engine.publish();
    worker.run_scan();
    for (const auto* line :
         {R"({"id":1,"result":{"protocolVersion":1}})", R"({"id":2,"result":{"sessionId":"s"}})",
          R"({"id":7,"method":"session/request_permission","params":{"toolCall":{},"options":)"
          R"([{"optionId":"y","kind":"allow_once"},{"optionId":"n","kind":"reject_once"}]}})"})
        worker.program().print(std::string(line) + "\n");
    worker.run_for(10s);
    return words(worker.program().input.ends_with("\n") &&
                     worker.program().input.find("\"optionId\"") != std::string::npos,
                 "denied", "open");
}

std::string debug_log(const AutoExecutionConfig& config)
{
    TemporaryFolder project;
    records::set_debug_log(project.path(), config.debug);
    logging::log(logging::LogLevel::debug, "a small thing");
    records::set_debug_log(project.path(), false);
    return words(fs::exists(records::debug_log_path(project.path())), "a log", "no log");
}

std::string validity(const AutoExecutionConfig& config)
{
    TemporaryFolder project;
    AutoExecutionConfigManager manager({}, project.path());
    try {
        manager.validate(config);
        return "valid";
    } catch (const InvalidConfiguration& e) {
        return e.diagnostics().front().message;
    }
}

struct Row {
    std::string key;
    std::string one;
    std::string other;
    std::string seen;  ///< What is looked at.
    std::function<std::string(const AutoExecutionConfig&)> look;
};

const std::vector<Row>& rows()
{
    static const std::vector<Row> all{
        {"enabled", "false", "true", "is polling needed",
         [](AutoExecutionConfig c) {
             c.polling_enabled = false;
             return validity(c);
         }},
        {"retry.enabled", "true", "false", "attempts", attempts},
        {"retry.max_attempts", "2", "4", "attempts", attempts},
        {"retry.backoff_multiplier", "1", "3", "time of the last retry", retried_after},
        {"retry.initial_delay_seconds", "2", "8", "time of the last retry", retried_after},
        {"retry.max_delay_seconds", "1", "60", "time of the last retry", retried_after},
        {"breaker.max_failures", "1", "2", "commands that run", runs_of_three},
        {"breaker.cool_down_seconds", "30", "90", "when the test ends",
         [](const auto& c) { return tested_after(c, {}); }},
        {"breaker.max_pause_seconds", "40", "80", "when the pause ends",
         [](const auto& c) { return tested_after(c, 1h); }},
        {"polling.enabled", "true", "false", "when the end is seen",
         [](const auto& c) { return seen_after(c, 12s); }},
        {"polling.file_events", "auto", "off", "when the end is seen", seen_without_notice},
        {"polling.interval_seconds", "5", "7", "when the end is seen",
         [](AutoExecutionConfig c) {
             c.executor.adaptive_polling = false;
             return seen_after(c, 12s);
         }},
        {"polling.timeout_seconds", "62", "95.5", "when silence ends", silence_ends_after},
        {"polling.adaptive", "true", "false", "when the end is seen",
         [](const auto& c) { return seen_after(c, 13s); }},
        {"polling.max_interval_seconds", "6", "30", "when the end is seen",
         [](const auto& c) { return seen_after(c, 61s); }},
        {"features.artifact_detection", "true", "false", "how artifacts end a wait", by_artifacts},
        {"features.status_tracking", "true", "false", "progress", progress},
        {"features.error_handling", "true", "false", "attempts", attempts},
        {"features.metrics_collection", "true", "false", "the metrics' folder",
         [](const auto& c) { return records(c, "metrics"); }},
        {"features.audit_logging", "true", "false", "the audit log's folder",
         [](const auto& c) { return records(c, "audit"); }},
        {"timeouts.start_seconds", "60", "0", "the end of what nobody takes", nobody_takes_it},
        {"timeouts.stall_seconds", "23", "0", "the end of what stalls", taken_and_silent},
        {"timeouts.total_seconds", "37", "0", "attempts", total},
        {"timeouts.stop_grace_seconds", "1", "20", "the end of what does not stop", stopped_after},
        {"timeouts.input_seconds", "5", "50", "a question after ten seconds", asked_long_ago},
        {"limits.max_parallel", "1", "2", "commands at once", two_at_once},
        {"limits.min_free_memory_bytes", "1000", "2000", "the end with 1500 bytes of memory",
         [](const auto& c) {
             return end_with(c, {1500, {}});
         }},
        {"limits.min_free_disk_bytes", "1000", "2000", "the end with 1500 bytes of disk",
         [](const auto& c) {
             return end_with(c, {{}, 1500});
         }},
        {"limits.max_status_bytes", "2048", "16777216", "the end of a large status", large_status},
        {"limits.max_output_bytes", "1000", "100000", "the output's log", kept_output},
        {"limits.max_output_tail_bytes", "100", "8192", "the output in the status", tail_of_output},
        {"audit.max_bytes", "1024", "10485760", "audit logs", audit_files},
        {"audit.max_backups", "1", "4", "audit logs", rotated_audit_files},
        {"audit.key_file", "''", "no-such-key", "the audit log of one event", keyed_audit_log},
        {"audit.strict", "true", "false", "a command without an audit log", unrecorded},
        {"budget.max_cost_per_run", "1.5", "10", "a command after one for $5", refused_start},
        {"budget.max_tokens_per_run", "5", "0", "a command after 5 tokens", refused_start},
        {"budget.max_cost_per_day", "1.5", "10", "a command after one for $5", refused_start},
        {"budget.max_tokens_per_day", "5", "6", "a command after 5 tokens", refused_start},
        {"budget.max_cost_per_command", "4", "10", "attempts for $5 each", attempts_within_budget},
        {"budget.max_tokens_per_command", "5", "0", "attempts of 5 tokens", attempts_within_budget},
        {"prices", R"({"m": {"input": 1, "output": 1}})", R"({"m": {"input": 2, "output": 1}})",
         "an estimate", estimate},
        {"notify.needs_input", "true", "false", "a question", rings_for(notify::Kind::needs_input)},
        {"notify.failed", "true", "false", "a failure", rings_for(notify::Kind::failed)},
        {"notify.completed", "true", "false", "an end", rings_for(notify::Kind::completed)},
        {"notify.run_ended", "true", "false", "a run's end", rings_for(notify::Kind::run_ended)},
        {"notify.budget", "true", "false", "a spent budget", rings_for(notify::Kind::budget)},
        {"notify.program", "one", "two", "an end", told_of_an_end},
        {"notify.bell", "true", "false", "an end", told_of_an_end},
        {"notify.desktop", "true", "false", "an end", told_of_an_end},
        {"durability", "none", "process", "a record", written_at_once},
        {"on_busy", "fail", "wait", "the end in a busy worktree", busy},
        {"on_input", "wait", "fail", "the end of what asks", asks_and_completes},
        {"secrets.in_command", "refuse", "warn", "the end of a command with a secret", secret},
        {"files.status_name", ".cursor-skill-status.json", "done.json",
         "the end of an agent that "
         "writes done.json",
         other_status_name},
        {"files.access", "owner", "everyone", "the command file's mode", command_mode},
        {"agent.max_parallel", "1", "2", "programs at once", programs_at_once},
        {"agent.scan_interval_seconds", "1", "600", "a command without a notice",
         found_within_five_seconds},
        {"agent.watch_paths_interval_seconds", "2", "600", "a new folder",
         folder_found_within_five_seconds},
        {"agent.heartbeat_interval_seconds", "5", "50", "statuses in a minute", beats},
        {"debug", "true", "false", "the log", debug_log},
    };
    return all;
}

AutoExecutionConfig configured(const std::string& key, const std::string& value)
{
    TemporaryFolder project;
    AutoExecutionConfigManager manager({}, project.path());
    std::string name = "AUTOEXEC_";
    for (const char c : key) name += c == '.' ? '_' : static_cast<char>(std::toupper(c));
    manager.set_environment({name + "=" + value});
    return manager.load();
}

}  // namespace

TEST_SUITE_BEGIN("config");

TEST_CASE("each setting makes a difference that can be seen")
{
    for (const auto& setting : config::built_in_settings()) {
        if (setting.type == config::SettingType::version) continue;  // see the corpus
        if (setting.key.starts_with("worktrees.")) continue;  // see e2e/worktree_retention_test.cpp
        if (setting.key == "agents.default") continue;        // see e2e/agents_test.cpp
        if (setting.key == "pull_request.program") continue;  // see e2e/workflow_report_test.cpp
        if (setting.key.starts_with("records.")) continue;    // see e2e/record_retention_test.cpp
        CAPTURE(setting.key);
        const auto row = std::find_if(rows().begin(), rows().end(),
                                      [&](const Row& r) { return r.key == setting.key; });
        REQUIRE_MESSAGE(row != rows().end(), "no row for this setting");
        CAPTURE(row->seen);
        const auto one = row->look(configured(row->key, row->one));
        const auto other = row->look(configured(row->key, row->other));
        CHECK(one != other);
    }
}

TEST_CASE("the defaults of the configuration are those of the executor and the agent")
{
    const auto configured_engine = executor_options({});
    const ExecutorOptions engine;
    CHECK(configured_engine.polling_interval == engine.polling_interval);
    CHECK(configured_engine.timeout == engine.timeout);
    CHECK(configured_engine.max_polling_interval == engine.max_polling_interval);
    CHECK(configured_engine.start_timeout == engine.start_timeout);
    CHECK(configured_engine.stop_grace == engine.stop_grace);
    CHECK(configured_engine.retry.max_attempts == engine.retry.max_attempts);
    CHECK(configured_engine.retry.initial_delay == engine.retry.initial_delay);
    CHECK(configured_engine.retry.max_delay == engine.retry.max_delay);
    CHECK(configured_engine.max_status_bytes == engine.max_status_bytes);
    CHECK(configured_engine.max_audit_bytes == engine.max_audit_bytes);
    CHECK(configured_engine.status_file_name == engine.status_file_name);
    CHECK(configured_engine.file_access == engine.file_access);
    CHECK(configured_engine.max_parallel == 8);  // the program's; a library has no limit
    const auto configured_agent = agent_options({});
    const AgentOptions agent;
    CHECK(configured_agent.scan_interval == agent.scan_interval);
    CHECK(configured_agent.watch_paths_interval == agent.watch_paths_interval);
    CHECK(configured_agent.heartbeat_interval == agent.heartbeat_interval);
    CHECK(configured_agent.max_output_bytes == agent.max_output_bytes);
    CHECK(configured_agent.max_output_tail_bytes == agent.max_output_tail_bytes);
    CHECK(configured_agent.stop_grace == agent.stop_grace);
}

TEST_CASE("what changes while an executor runs holds for what begins later")
{
    ExecutorFixture f;
    f.options.timeout = 20s;
    f.start(ExecutorFixture::request());
    f.clock->at(3s, [&] {
        auto changed = f.options;
        changed.timeout = 40s;
        f.make().set_options(changed);
        changed.timeout = 0s;
        CHECK_THROWS_AS(f.make().set_options(changed), system_error);
        f.make().async_execute_command(
            CommandRequest("later", "/other"),
            [](error_code, const ExecutionResult& r) { CHECK(r.duration == 40s); });
    });
    f.clock->run(f.ctx);
    CHECK(f.result.duration == 20s);
}

TEST_CASE("more places let in at once those who wait for one")
{
    ExecutorFixture f;
    f.options.max_parallel = 1;
    f.options.timeout = 20s;
    f.start(CommandRequest("one", "/a"));
    f.start(CommandRequest("two", "/b"));
    f.clock->at(3s, [&] {
        CHECK(f.handoff->at("/b").published.empty());
        auto changed = f.options;
        changed.max_parallel = 2;
        changed.timeout = 30s;
        f.make().set_options(changed);
    });
    f.clock->at(4s, [&] { CHECK(f.handoff->at("/b").published.size() == 1); });
    f.clock->run(f.ctx);
    CHECK(f.results == 2);
    CHECK(f.clock->elapsed() == 33s);  // what stood in line begins with what holds now
}

TEST_SUITE_END();
