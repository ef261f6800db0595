#include "git/repository.hpp"
#include "git/salvages.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>

using namespace autoexec::git;

namespace {

bool is_plain(const std::string& name)
{
    constexpr std::string_view allowed =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    return !name.empty() && name.size() <= 80 &&
           name.find_first_not_of(allowed) == std::string::npos && name.front() != '.' &&
           name.front() != '-' && name.back() != '.' && name.find("..") == std::string::npos &&
           !name.ends_with(".lock");
}

const std::string long_id(200, 'x');

}  // namespace

TEST_SUITE_BEGIN("tree_name");

TEST_CASE("a step's worktree is called after workflow and step, with a hash of both")
{
    // printf %s workflow-build-step-test | sha256sum
    CHECK(tree_name("build", "test") == "workflow-build-step-test-e45ac0f4");
    CHECK(tree_name("build", "test", 1) == tree_name("build", "test"));
    CHECK(tree_name("build", "test", 3) == "workflow-build-step-test-e45ac0f4-r3");
}

TEST_CASE("what git or a file system may not like is replaced, and names stay distinct")
{
    std::set<std::string> names;
    const std::string odd[] = {"a b",    "a/b",  "a--b",  "a-b",     "a..b", "a.b",
                               "ä",      "",     "../..", "a\nb",    "-x",   ".",
                               "a.lock", "@{u}", "~",     "^:?*[\\", long_id};
    for (const auto& id : odd) {
        CAPTURE(id);
        for (const auto& name : {tree_name("w", id), tree_name(id, "s"), tree_name("w", id, 12)}) {
            CAPTURE(name);
            CHECK(is_plain(name));
            CHECK(names.insert(name).second);
        }
    }
}

TEST_CASE("ids that hold what joins them keep their names apart")
{
    CHECK(tree_name("a-step-b", "c") != tree_name("a", "b-step-c"));
    CHECK(tree_name("a", "-step-b") != tree_name("a-step-", "b"));
}

TEST_CASE("a name that would be too long keeps its beginning and its round")
{
    const auto name = tree_name("w", long_id);
    CHECK(name.size() == 80);
    CHECK(name.starts_with("workflow-w-step-xxx"));
    CHECK(name[69] == '-');
    CHECK(name != tree_name("w", long_id + "y"));
    const auto second = tree_name("w", long_id, 2);
    CHECK(second.size() == 80);
    CHECK(second.ends_with("-r2"));
}

TEST_CASE("a name that is cut right behind a dash fulfils its own rule")
{
    // The cut is behind the dash after "architecture".
    const auto workflow = "feature-" + std::string(29, 'x');
    const auto name = tree_name(workflow, "architecture-and-more");
    CHECK(name.find("architecture-") != name.npos);
    CHECK(name.find("--") == name.npos);
    CHECK(is_branch_part(name));
}

TEST_CASE("each name that is made fulfils the rule, wherever it is cut")
{
    for (std::size_t length = 0; length < 100; ++length)
        for (const auto* const tail : {"-", "--a", "-.b", ".-c", "..", ".lock", "-step-"}) {
            const auto id = std::string(length, 'x') + tail + long_id;
            CAPTURE(id);
            for (const auto& name :
                 {tree_name("w", id), tree_name(id, "s"), tree_name("w", id, 123), branch_part(id),
                  branch_part(tail + id), branch_part("." + std::string(tail) + id)}) {
                CAPTURE(name);
                CHECK(is_plain(name));
                CHECK(is_branch_part(name));
                CHECK(branch_part(name) == name);
            }
        }
}

TEST_CASE("a part of a branch name that git allows is taken as it is")
{
    for (const auto* const text : {"build", "a.b", "a_b-c", "1"}) CHECK(branch_part(text) == text);
}

TEST_CASE("a part of a branch name that git does not allow gets a hash")
{
    std::set<std::string> names;
    const std::string odd[] = {"",   ".",   "..",  "a..b", ".a", "a.", "a.lock",  "a.lock.lock",
                               "-a", "a b", "a/b", "ä",    "-",  "@{", "x.lock.", long_id};
    for (const auto& text : odd) {
        CAPTURE(text);
        const auto part = branch_part(text);
        CAPTURE(part);
        CHECK(is_plain(part));
        CHECK(part != text);
        CHECK(names.insert(part).second);
    }
}

TEST_CASE("a salvage's name and message are read back as they were written")
{
    using namespace std::chrono;
    const system_clock::time_point time = sys_days{2026y / January / 20} + 21h + 36s + 129110us;
    const auto ref = salvage_ref("tree-1", time);
    CHECK(ref == "refs/autoexec/salvage/tree-1/20260120-210036-129110");
    std::string tree;
    system_clock::time_point read;
    REQUIRE(read_salvage_ref(ref, tree, read));
    CHECK(tree == "tree-1");
    CHECK(read == time);

    SalvageNote note;
    note.tree = "tree-1";
    note.path = "/a b/c";
    note.branch = "workflow/tree-1";
    note.head = std::string(40, 'a');
    SUBCASE("with a reason of several paragraphs")
    {
        note.reason = "Before a retry.\n\nBranch: not this one\nIndex: nor this";
    }
    SUBCASE("without a reason") {}
    const auto found = read_salvage_message(salvage_message(note));
    CHECK(found.tree == note.tree);
    CHECK(found.reason == note.reason);
    CHECK(found.path == note.path);
    CHECK(found.branch == note.branch);
    CHECK(found.head == note.head);
    CHECK(found.index.empty());
}

TEST_CASE("what is no salvage's name or message is not taken for one")
{
    std::string tree;
    std::chrono::system_clock::time_point time;
    for (const auto* const ref :
         {"", "refs/heads/main", "refs/autoexec/salvage/x", "refs/autoexec/salvage/x/yesterday",
          "refs/autoexec/salvage/x/20261320-210036-129110"})
        CHECK_FALSE(read_salvage_ref(ref, tree, time));
    for (const auto* const text : {"", "Salvage of", "Salvage of x", "Another\n\ntext\n\nHead: 1"})
        CHECK(read_salvage_message(text).head.empty());
}

TEST_SUITE_END();
