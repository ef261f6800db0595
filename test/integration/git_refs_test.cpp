#include "git_files/index_file.hpp"
#include "git_files/refs.hpp"
#include "support/worktree_fixture.hpp"

#include <doctest/doctest.h>

#include <optional>
#include <string>

using namespace autoexec;
using namespace autoexec::test;
using git_files::index_is_tree;
using git_files::read_ref;

namespace {

struct RefsFixture : WorktreeFixture {
    fs::path common = root() / ".git";
    fs::path index = common / "index";

    RefsFixture()
    {
        write("a", "1\n");
        (void)commit("one");
    }
    std::optional<std::string> read(const std::string& branch) const
    {
        return read_ref(common, "refs/heads/" + branch);
    }
};

}  // namespace

TEST_SUITE_BEGIN("git_refs");

TEST_CASE_FIXTURE(RefsFixture, "a branch is read as git reads it")
{
    (void)git({"branch", "workflow/some"});
    const auto old = head();
    CHECK(read("workflow/some") == old);
    SUBCASE("in a file of its own") {}
    SUBCASE("packed with others")
    {
        (void)git({"branch", "workflow/some-more"});
        (void)git({"pack-refs", "--all"});
    }
    SUBCASE("packed, and moved after that")
    {
        (void)git({"pack-refs", "--all"});
        write("a", "2\n");
        (void)commit("two");
        (void)git({"branch", "-f", "workflow/some"});
        CHECK(read("workflow/some") != old);
    }
    CHECK(read("workflow/some") == id("workflow/some"));
    CHECK(read("workflow/som") == "");
    CHECK(read("some") == "");
}

TEST_CASE_FIXTURE(RefsFixture, "git is asked for a ref that is no plain file")
{
    (void)git({"branch", "workflow/some"});
    SUBCASE("a symbolic ref")
    {
        (void)git({"symbolic-ref", "refs/heads/other", "refs/heads/workflow/some"});
        CHECK_FALSE(read("other"));
    }
    SUBCASE("a symbolic link")
    {
        fs::create_symlink("workflow/some", common / "refs/heads/other");
        CHECK_FALSE(read("other"));
    }
    SUBCASE("a folder of refs")
    {
        CHECK_FALSE(read("workflow"));
    }
    SUBCASE("a file with something else")
    {
        write_file(common / "refs/heads/other", "nothing\n");
        CHECK_FALSE(read("other"));
    }
    SUBCASE("in a repository with another store")
    {
        fs::create_directory(common / "reftable");
        CHECK_FALSE(read("workflow/some"));
        CHECK_FALSE(read("missing"));
    }
}

TEST_CASE_FIXTURE(RefsFixture, "an index is HEAD's tree until something is staged")
{
    const auto tree = id("HEAD^{tree}");
    REQUIRE(index_is_tree(index, tree));
    SUBCASE("a changed file")
    {
        write("a", "2\n");
        CHECK(index_is_tree(index, tree));
        (void)git({"add", "a"});
    }
    SUBCASE("a new file")
    {
        write("b", "1\n");
        (void)git({"add", "b"});
    }
    SUBCASE("a file to be added later")
    {
        write("b", "1\n");
        (void)git({"add", "-N", "b"});
    }
    SUBCASE("a removed file")
    {
        (void)git({"rm", "-q", "--cached", "a"});
    }
    CHECK_FALSE(index_is_tree(index, tree));
    CHECK_FALSE(index_is_tree(common / "missing", tree));
    (void)git({"reset", "-q", "--hard"});
    CHECK(index_is_tree(index, tree));
    CHECK_FALSE(index_is_tree(index, ""));
    CHECK_FALSE(index_is_tree(index, std::string(40, '0')));
}

TEST_CASE_FIXTURE(RefsFixture, "an index that is cut says nothing of its tree")
{
    const auto tree = id("HEAD^{tree}");
    const auto whole = read_file(index);
    for (std::size_t size = 0; size + 20 < whole.size(); ++size) {
        write_file(index, whole.substr(0, size));
        CAPTURE(size);
        CHECK_FALSE(index_is_tree(index, tree));
    }
}

TEST_SUITE_END();
