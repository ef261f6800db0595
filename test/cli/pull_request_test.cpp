#include "cli/workflow/pull_request.hpp"

#include "cli/cli.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace autoexec;
using namespace autoexec::cli;
using Lines = std::vector<std::string>;

TEST_SUITE_BEGIN("pull request");

TEST_CASE("values are filled into words once, and stay within them")
{
    PullRequest request;
    request.branch = "workflow/w";
    request.remote = "origin";
    request.title = "a {branch} \"$(id)\"";
    request.body = "# w\n";
    const Lines words{"p", "--b={base}", "-t={title}", "{branch}{remote}", "{x}{{body}}", ""};
    CHECK(fill_words(words, request) ==
          Lines{"p", "-t=a {branch} \"$(id)\"", "workflow/worigin", "{x}{# w\n}", ""});
    request.base = "main";
    CHECK(fill_words(words, request)[1] == "--b=main");
}

TEST_CASE(
    "the pull request of a run has a title that is no option, and a text that is not too long")
{
    workflow::RunRecord run;
    run.run_id = "w-1";
    run.workflow_id = "w";
    run.name = "-x\ny";
    run.branch = "workflow/w-1";
    run.commit = "c";
    run.status = WorkflowStatus::completed;
    const auto request = pull_request_of(run, "origin", std::string(70'000, '\n'));
    CHECK(request.title == "Workflow -x\\ny");
    CHECK(request.body.size() < 61'000);
    CHECK(request.body.ends_with("\nThis is too long. All of it: autoexec workflow report w-1\n"));
    CHECK(pull_request_of(run, "origin", "short").body == "short");
    CHECK_THROWS_AS(pull_request_of(run, "-f", ""), Failure);
    for (const auto* const branch : {"main", "workflow/-x", "workflow/a b", "-f", ""}) {
        run.branch = branch;
        CHECK_THROWS_AS(pull_request_of(run, "origin", ""), Failure);
    }
    run.branch = "workflow/w-1";
    run.status = WorkflowStatus::failed;
    CHECK_THROWS_AS(pull_request_of(run, "origin", ""), Failure);
}

TEST_SUITE_END();
