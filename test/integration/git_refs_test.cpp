#include "git_files/index_file.hpp"
#include "git_files/refs.hpp"
#include "support/worktree_fixture.hpp"
#include "text/text.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

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

/// The entries of an index as lines of `ls-files -v -s`; nullopt: git must be asked.
std::optional<std::vector<std::string>> entries_of(const fs::path& index, std::size_t id_size = 20)
{
    std::vector<std::string> lines;
    const auto add = [&lines](const git_files::IndexedFile& file) {
        const auto* const tag = file.assumed_unchanged ? "h" : file.stage != 0 ? "M" : "H";
        lines.push_back(fmt::format("{} {:06o} {} {}\t{}", tag, file.mode, text::hex(file.id),
                                    file.stage, file.path));
    };
    if (!git_files::visit_index(index, id_size, add)) return std::nullopt;
    return lines;
}

constexpr const char* some_commit = "0123456789012345678901234567890123456789";

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

TEST_CASE_FIXTURE(RefsFixture, "the entries of an index are those that git lists")
{
    for (const auto* const name : {"b", "folder/a file", "ünusual", "folder/program"})
        write(name, name);
    fs::permissions(root() / "folder/program", fs::perms(0755));
    fs::create_symlink("b", root() / "link");
    (void)git({"add", "-A"});
    SUBCASE("staged") {}
    SUBCASE("of other versions")
    {
        (void)git({"update-index", "--index-version", "4"});
    }
    SUBCASE("a file to be added later")
    {
        write("c", "1\n");
        (void)git({"add", "-N", "c"});
    }
    SUBCASE("a submodule, and a file that hides its changes")
    {
        (void)git(
            {"update-index", "--add", "--cacheinfo", fmt::format("160000,{},module", some_commit)});
        (void)git({"update-index", "--assume-unchanged", "b"});
    }
    SUBCASE("a conflict")
    {
        (void)commit("more");
        (void)git({"checkout", "-q", "-b", "other", "HEAD~1"});
        write("b", "other\n");
        (void)commit("other");
        (void)try_git(root(), {"merge", "-q", "main"});
    }
    SUBCASE("no files")
    {
        (void)git({"rm", "-q", "-r", "--cached", "."});
    }
    SUBCASE("a very long path")
    {
        std::string path;
        for (int i = 0; i < 30; ++i) path += std::string(150, 'x') + '/';
        (void)git({"update-index", "--add", "--cacheinfo",
                   fmt::format("160000,{},{}end", some_commit, path)});
    }
    const auto listing = git({"ls-files", "-v", "-s", "-z"});
    const auto lines = git::split_nul(listing);
    const auto found = entries_of(index);
    REQUIRE(found);
    CHECK(*found == std::vector<std::string>(lines.begin(), lines.end()));
    CHECK_FALSE(entries_of(index, 0));
}

TEST_CASE_FIXTURE(RefsFixture, "an index with object ids of 32 bytes is read, too")
{
    const auto other = folder / "sha256";
    fs::create_directory(other);
    (void)git_in(other, {"init", "-q", "--object-format=sha256"});
    write_file(other / "a", "1\n");
    (void)git_in(other, {"add", "-A"});
    const auto found = entries_of(other / ".git/index", 32);
    REQUIRE(found);
    CHECK(*found == std::vector<std::string>{git_in(other, {"ls-files", "-v", "-s"})});
    CHECK_FALSE(entries_of(other / ".git/index", 20));
    CHECK_FALSE(entries_of(index, 32));
}

TEST_CASE_FIXTURE(RefsFixture, "git is asked for an index that is not a plain list of all files")
{
    write("b/c", "1\n");
    (void)commit("more");
    REQUIRE(entries_of(index));
    SUBCASE("a file that is left out")
    {
        (void)git({"update-index", "--skip-worktree", "a"});
    }
    SUBCASE("a sparse one")
    {
        (void)git({"sparse-checkout", "set", "--sparse-index", "folder"});
    }
    SUBCASE("in two files")
    {
        (void)git({"update-index", "--split-index"});
    }
    SUBCASE("none")
    {
        fs::remove(index);
    }
    SUBCASE("a link")
    {
        fs::rename(index, index.string() + "-2");
        fs::create_symlink("index-2", index);
    }
    SUBCASE("not in order")
    {
        auto text = read_file(index);
        const auto at = text.find("file");
        REQUIRE(at != text.npos);
        text.replace(at, 4, "zile");
        write_file(index, text);
    }
    SUBCASE("with something that is not understood")
    {
        auto text = read_file(index);
        const auto at = text.find("TREE");
        REQUIRE(at != text.npos);
        text[at] = 'X';
        write_file(index, text);
    }
    CHECK_FALSE(entries_of(index));
}

// Without its last parts, an index can have all its entries.
TEST_CASE_FIXTURE(RefsFixture, "git is asked for an index that is cut")
{
    const auto whole = read_file(index);
    const auto all = entries_of(index);
    REQUIRE(all);
    int accepted = 0;
    for (std::size_t size = 0; size < whole.size(); ++size) {
        write_file(index, whole.substr(0, size));
        const auto found = entries_of(index);
        CAPTURE(size);
        CHECK((!found || *found == *all));
        accepted += found.has_value() ? 1 : 0;
    }
    CHECK(accepted <= 1);
}

TEST_SUITE_END();
