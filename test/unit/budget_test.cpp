#include "records/budget.hpp"
#include "support/executor_fixture.hpp"
#include "support/temporary_folder.hpp"
#include "support/text.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <limits>

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;

namespace {

constexpr std::chrono::system_clock::time_point noon =
    std::chrono::sys_days{std::chrono::year{2026} / 1 / 20} + 12h;
constexpr char attempts_file[] = ".tapps-agents/metrics/attempts_2026-01-20.jsonl";

Usage used(std::int64_t tokens, std::optional<double> cost)
{
    Usage usage;
    usage.input_tokens = tokens;
    usage.cost_usd = cost;
    usage.model = "m";
    return usage;
}

std::string attempt_of(std::string_view id, double cost)
{
    return fmt::format(
        R"({{"execution_id": "e", "attempt_id": "{}", "command": "c", "status": "completed", "duration_ms": 1, )"
        R"("started_at": "2026-01-20T10:00:00+00:00", "usage": {{"cost_usd": {}}}}})"
        "\n",
        id, cost);
}

struct BudgetFixture {
    records::Budget budget(BudgetConfig limits, ModelPrices prices = {}) const
    {
        return {limits, std::move(prices), records::Folder::of({}, project.path(), "metrics")};
    }

    TemporaryFolder project;
};

}  // namespace

TEST_SUITE_BEGIN("budget");

TEST_CASE_FIXTURE(BudgetFixture, "a limit of a run lets commands start until it is reached")
{
    BudgetConfig limits;
    limits.max_cost_per_run = 1;
    auto b = budget(limits);
    CHECK(b.refusal(noon).empty());
    CHECK(b.add("a", used(5, 0.75), noon).empty());
    CHECK(b.add("a", used(5, 0.75), noon).empty());  // the same once more
    CHECK(b.refusal(noon).empty());
    b.add("b", used(5, 0.25), noon);
    CHECK(b.refusal(noon) ==
          "The limit of $1.00 for this run is reached, $1.00 used. To continue, raise it: "
          "--max-cost, "
          "--max-tokens, or budget in the configuration.");
    limits.max_cost_per_run = 0;
    limits.max_tokens_per_run = 10;
    auto tokens = budget(limits);
    tokens.add_earlier({{"a", used(9, {})}});
    CHECK(tokens.refusal(noon).empty());
    tokens.add("b", used(1, {}), noon);
    CHECK_FALSE(tokens.refusal(noon).empty());
}

TEST_CASE_FIXTURE(BudgetFixture, "the limit of a workflow counts besides that of the run")
{
    BudgetConfig limits;
    limits.max_cost_per_run = 1;
    auto b = budget(limits);
    b.set_workflow_limits({0.5, 0});
    b.add("a", used(5, 0.25), noon);
    CHECK(b.refusal(noon).empty());
    b.add("b", used(5, 0.25), noon);
    CHECK(b.refusal(noon) ==
          "The limit of $0.50 for a run of this workflow is reached, $0.50 used. To continue, "
          "raise 'budget' in the workflow file, and resume the run with --accept-changed.");
    // A changed configuration does not raise it, and a lower limit of the run counts first.
    b.set_limits({}, {});
    CHECK_FALSE(b.refusal(noon).empty());
    limits.max_cost_per_run = 0.1;
    b.set_limits(limits, {});
    CHECK(contains(b.refusal(noon), "for this run is reached"));
    auto tokens = budget({});
    tokens.set_workflow_limits({0, 10});
    CHECK(contains(tokens.add("a", {}, noon), "reported no usage"));
    CHECK(tokens.refusal(noon).empty());
    tokens.add("b", used(10, {}), noon);
    CHECK(contains(tokens.refusal(noon), "10 tokens for a run of this workflow"));
}

TEST_CASE_FIXTURE(BudgetFixture, "a limit of a day counts other processes, and ends with the day")
{
    BudgetConfig limits;
    limits.max_cost_per_day = 3;
    auto b = budget(limits);
    CHECK(b.refusal(noon).empty());
    auto lines = attempt_of("x", 1);
    project.write(attempts_file, lines + attempt_of("y", 1).substr(0, 20));
    CHECK(b.refusal(noon).empty());
    b.add("own", used(1, 0.5), noon);
    lines += attempt_of("y", 1) + attempt_of("own", 0.5);
    project.write(attempts_file, lines);
    CHECK(b.refusal(noon).empty());  // 2.50
    project.write(attempts_file, lines + "no line\n" + attempt_of("z", 0.5));
    CHECK(b.refusal(noon).starts_with(
        "The limit of $3.00 for this day (UTC) is reached, $3.00 used."));
    CHECK(b.refusal(noon + 12h).empty());
}

TEST_CASE_FIXTURE(BudgetFixture, "absurd usage does not make room")
{
    BudgetConfig limits;
    limits.max_cost_per_run = 1'000'000;
    limits.max_tokens_per_run = 1'000'000'000'000'000;
    auto b = budget(limits);
    b.add("a", used(std::numeric_limits<std::int64_t>::max(), 1e300), noon);
    CHECK_FALSE(b.refusal(noon).empty());
    b.add("b", used(std::numeric_limits<std::int64_t>::min(), -1e300), noon);
    b.add("c", used(std::numeric_limits<std::int64_t>::max(), {}), noon);
    CHECK_FALSE(b.refusal(noon).empty());
}

TEST_CASE_FIXTURE(BudgetFixture,
                  "a cost that is not known is a warning, once, unless there is a price")
{
    BudgetConfig limits;
    limits.max_cost_per_run = 1;
    auto b = budget(limits);
    CHECK(
        b.add("a", used(5, {}), noon).starts_with("The program of the model 'm' reports no cost"));
    CHECK(b.add("b", used(5, {}), noon).empty());
    CHECK(b.refusal(noon).empty());
    auto silent = budget(limits);
    CHECK(silent.add("a", {}, noon).starts_with("A program has reported no usage"));
    auto priced = budget(limits, {{"m", {1, 1, 1, 1}}});
    CHECK(priced.add("a", used(1'000'000, {}), noon).empty());
    CHECK(priced.refusal(noon).starts_with(
        "The limit of $1.00 for this run is reached, ~$1.00 used."));
    CHECK(budget({}).add("a", {}, noon).empty());
}

TEST_CASE_FIXTURE(BudgetFixture, "limits can be raised while commands run")
{
    BudgetConfig limits;
    limits.max_cost_per_run = 1;
    auto b = budget(limits);
    b.add("a", used(5, 2.0), noon);
    CHECK_FALSE(b.refusal(noon).empty());
    limits.max_cost_per_run = 3;
    b.set_limits(limits, {});
    CHECK(b.refusal(noon).empty());
}

TEST_CASE("a command that is refused is not published, and fails with the code budget")
{
    ExecutorFixture f;
    f.options.refuse_attempt = [](int) { return "No."; };
    f.start(ExecutorFixture::request());
    f.clock->run(f.ctx);
    CHECK(f.results == 1);
    CHECK(f.result.status == ExecutionStatus::failed);
    CHECK(f.result.attempts == 0);
    REQUIRE(f.result.error);
    CHECK(f.result.error->message == "Not started. No.");
    CHECK(f.result.error->code == "budget");
}

TEST_CASE_FIXTURE(ExecutorFixture, "a budget is checked before a retry, and its end says so")
{
    options.retry.max_attempts = 5;
    tree.on_publish = [this] {
        tree.take();
        auto status = tree.status(ReportedStatus::failed);
        status.error = CommandError{"busy", "overloaded", true, 0};
        status.usage = used(10, 0.25);
        tree.report(status);
    };
    auto r = request();
    std::string refusal;
    SUBCASE("of the run")
    {
        options.refuse_attempt = [](int attempt) { return attempt == 3 ? "Too much." : ""; };
        refusal = "busy. Not tried again. Too much.";
    }
    SUBCASE("of the command")
    {
        r.max_cost = 0.5;
        refusal =
            "busy. Not tried again. The limit of $0.50 for this command is reached, $0.50 used.";
    }
    SUBCASE("of the configuration, which a command cannot raise")
    {
        options.max_tokens_per_command = 15;
        r.max_tokens = 100;
        refusal =
            "busy. Not tried again. The limit of 15 tokens for this command is reached, 20 used.";
    }
    SUBCASE("of a cost that is estimated")
    {
        tree.on_publish = [this] {
            tree.take();
            auto status = tree.status(ReportedStatus::failed);
            status.error = CommandError{"busy", "overloaded", true, 0};
            status.usage = used(10, {});
            tree.report(status);
        };
        options.prices = {{"m", {1e5, 0, 0, 0}}};
        options.max_cost_per_command = 1.5;
        refusal =
            "busy. Not tried again. The limit of $1.50 for this command is reached, ~$2.00 used.";
    }
    execute(r);
    CHECK(result.attempts == 2);
    CHECK(result.status == ExecutionStatus::failed);
    REQUIRE(result.error);
    CHECK(result.error->message == refusal);
    CHECK(result.error->code == "budget");
    CHECK(sink->count(EventType::execution_retry) == 1);
}

TEST_CASE_FIXTURE(ExecutorFixture, "an attempt gets what is left for it")
{
    options.retry.max_attempts = 5;
    tree.on_publish = [this] {
        tree.take();
        auto status = tree.status(tree.published.size() == 1 ? ReportedStatus::failed
                                                             : ReportedStatus::completed);
        if (tree.published.size() == 1) status.error = CommandError{"busy", "overloaded", true, 0};
        status.usage = used(10, 0.25);
        tree.report(status);
    };
    auto r = request();
    r.max_cost = 2;
    options.max_tokens_per_command = 100;
    execute(r);
    REQUIRE(tree.published.size() == 2);
    CHECK(tree.published[0].max_cost == 2);
    CHECK(tree.published[0].max_tokens == 100);
    CHECK(tree.published[1].max_cost == 1.75);
    CHECK(tree.published[1].max_tokens == 90);
    CHECK(result.status == ExecutionStatus::completed);
}

TEST_CASE_FIXTURE(ExecutorFixture, "a budget of a command that cannot be enforced is a warning")
{
    auto r = request();
    r.max_cost = 1;
    r.max_tokens = 100;
    std::size_t warnings = 2;
    SUBCASE("nothing is known")
    {
        tree.on_publish = [this] { tree.complete(); };
    }
    SUBCASE("the cost is not known")
    {
        tree.on_publish = [this] {
            tree.take();
            auto status = tree.status(ReportedStatus::completed);
            status.usage = used(10, {});
            tree.report(status);
        };
        warnings = 1;
    }
    execute(r);
    REQUIRE(result.warnings.size() == warnings);
    CHECK(result.warnings[0].starts_with("The program reports no cost"));
}

TEST_CASE_FIXTURE(ExecutorFixture, "a budget that a program has exceeded unnoticed is a warning")
{
    auto r = request();
    std::string code;
    bool warns = true;
    r.max_cost = 0.2;
    SUBCASE("of its cost") {}
    SUBCASE("of its tokens")
    {
        r.max_cost = 0;
        r.max_tokens = 9;
    }
    SUBCASE("not, if it is used up")
    {
        r.max_cost = 0.25;
        warns = false;
    }
    SUBCASE("not, if the program was stopped for it")
    {
        code = "budget";
        warns = false;
    }
    tree.on_publish = [this, &code] {
        tree.take();
        auto status =
            tree.status(code.empty() ? ReportedStatus::completed : ReportedStatus::failed);
        if (!code.empty()) status.error = CommandError{"used up", code, false, 0};
        status.usage = used(10, 0.25);
        tree.report(status);
    };
    execute(r);
    REQUIRE(result.warnings.size() == (warns ? 1 : 0));
    if (warns) CHECK(result.warnings[0].find("was not limited while it ran") != std::string::npos);
}

TEST_CASE_FIXTURE(ExecutorFixture, "a negative budget is refused")
{
    auto r = request();
    r.max_cost = -1;
    start(r);
    clock->run(ctx);
    CHECK(ec == errc::invalid_options);
    options.max_tokens_per_command = -1;
    CHECK_THROWS_AS(BackgroundAgentAutoExecutor(ctx, options), const system_error&);
}

TEST_SUITE_END();
