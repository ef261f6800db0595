#include "protocol/expected_artifacts.hpp"

#include "autoexec/workflow.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <filesystem>
#include <string>

using autoexec::parse_workflow;
using autoexec::protocol::artifact_path;

namespace {

const std::filesystem::path worktree = "/trees/one";

const std::string refused[] = {"",      ".",      "./", "a/..", "a/../b", "../b",
                               "a/../", "b/./..", "/b", "//",   "..",     std::string("a\0b", 3)};

}  // namespace

TEST_SUITE_BEGIN("artifact path");

TEST_CASE("a path has one normal form, relative to the worktree")
{
    const std::pair<std::string, std::string> accepted[] = {
        {"a", "a"},         {"a/", "a"}, {"./a//b/.", "a/b"}, {"..a", "..a"},
        {"a/...", "a/..."}, {" ", " "},  {"-x", "-x"},        {"a/b/../c.d", ""}};
    for (const auto& [given, normal] : accepted) {
        CAPTURE(given);
        CHECK(artifact_path(given).value_or("") == normal);
        CHECK(artifact_path(given, worktree).value_or("") == normal);
    }
}

TEST_CASE("what is no path below the worktree is refused, with or without its name")
{
    for (const auto& path : refused) {
        CAPTURE(path);
        CHECK_FALSE(artifact_path(path));
        CHECK_FALSE(artifact_path(path, worktree));
    }
}

TEST_CASE("an absolute path counts only where the worktree is known, and only below it")
{
    CHECK_FALSE(artifact_path("/trees/one/a"));
    CHECK(artifact_path("/trees/one/a/", worktree) == "a");
    CHECK(artifact_path("/trees/./one//a", worktree) == "a");
    CHECK(artifact_path("/trees/one/a", "/trees/one/") == "a");
    for (const auto* const path : {"/trees/one", "/trees/one/", "/trees/oneself/a", "/trees", "/"})
        CHECK_FALSE(artifact_path(path, worktree));
}

TEST_CASE("a workflow with a path that would be refused at run time is invalid")
{
    for (const auto& path : refused) {
        if (path.find('\0') != path.npos) continue;  // not YAML either
        CAPTURE(path);
        for (const auto* const key : {"creates", "requires"}) {
            const auto loaded = parse_workflow(
                fmt::format("id: w\nsteps:\n  - {{id: a, command: make, {}: [\"{}\"]}}\n", key,
                            path),
                "w.yaml");
            CHECK_FALSE(loaded.workflow);
        }
    }
}

TEST_SUITE_END();
