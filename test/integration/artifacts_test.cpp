#include "git/repository.hpp"

#include "support/worktree_fixture.hpp"

#include <doctest/doctest.h>

#include <sys/stat.h>

using namespace autoexec;
using namespace autoexec::test;
using namespace autoexec::git;

namespace {

/// One step has worked in `a`, where git ignores `build/` and `*.bin`; another one begins in `b`.
struct Ignored : WorktreeFixture {
    Ignored()
    {
        write(".gitignore", "build/\n*.bin\n");
        commit("ignore");
        forget_repository();
        from = add("a");
        to = add("b");
    }

    KeptArtifacts keep(const Words& declared)
    {
        return run(
            git::keep_ignored(repository(), from, ArtifactRef{"run-1", "step one", 1}, declared));
    }
    Problem lay(const std::string& commit, const std::string& path, bool keep_existing = false)
    {
        std::vector<ArtifactSource> sources{{commit, path}};
        return run(git::lay_artifacts(repository(), to, sources, keep_existing));
    }
    std::string kept(const Words& declared)
    {
        const auto done = keep(declared);
        REQUIRE_MESSAGE(done.problem.empty(), done.problem);
        return done.commit;
    }

    fs::path from;
    fs::path to;
};

constexpr char ref[] = "refs/autoexec/artifacts/run-1/";

}  // namespace

TEST_SUITE_BEGIN("artifacts");

TEST_CASE_FIXTURE(Ignored, "declared files that git ignores are kept, and laid into another tree")
{
    const std::string bytes("\0\r\n\n\xff", 5);
    write_file(from / ".gitattributes", "* text eol=crlf filter=evil\n");
    write_file(to / ".gitattributes", "* text eol=crlf filter=evil\n");
    configure("[filter \"evil\"]\n\tclean = \"touch evil; cat\"\n\tsmudge = \"touch evil; cat\"\n");
    write_file(from / "build/app", bytes);
    fs::permissions(from / "build/app", fs::perms(0755));
    write_file(from / "build/deep/data", "one\r\ntwo\n");
    fs::create_symlink("app", from / "build/link");
    write_file(from / "x.bin", "x");
    write_file(from / "open", "not ignored");
    write_file(from / "build-not", "not ignored");

    const auto commit = kept({"build", "open"});
    CHECK(files(commit) == "build/app\nbuild/deep/data\nbuild/link");
    CHECK(contains(git({"for-each-ref", "--format=%(refname) %(objectname)", ref}), commit));
    CHECK(git({"rev-list", "--count", commit}) == "1");

    CHECK(lay(commit, "build").empty());
    CHECK(read_file(to / "build/app") == bytes);
    CHECK((fs::status(to / "build/app").permissions() & fs::perms::owner_exec) != fs::perms::none);
    CHECK(read_file(to / "build/deep/data") == "one\r\ntwo\n");
    CHECK(fs::read_symlink(to / "build/link") == "app");
    for (const auto& place : {from, to, root()}) CHECK_FALSE(fs::exists(place / "evil"));
    fs::remove(to / ".gitattributes");
    CHECK(status(to).empty());
    CHECK(git_in(to, {"ls-files", "build"}).empty());
    for (const auto& file : fs::directory_iterator(to))
        CHECK_FALSE(file.path().filename().string().starts_with(".cursor-skill-tmp"));
}

TEST_CASE_FIXTURE(Ignored, "where git ignores nothing of it, nothing is kept")
{
    write_file(from / "open", "x");
    CHECK(kept({"open", "nowhere"}).empty());
    CHECK(kept({}).empty());
    CHECK(git({"for-each-ref", "refs/autoexec"}).empty());
}

TEST_CASE_FIXTURE(Ignored, "only what is wanted is laid, and files as they were are not touched")
{
    write_file(from / "build/app", "new");
    write_file(from / "build/other", "other");
    const auto commit = kept({"build"});
    write_file(to / "build/app", "new");
    struct stat before {};
    REQUIRE(::stat((to / "build/app").c_str(), &before) == 0);
    CHECK(lay(commit, "build/app").empty());
    CHECK_FALSE(fs::exists(to / "build/other"));
    struct stat after {};
    REQUIRE(::stat((to / "build/app").c_str(), &after) == 0);
    CHECK(before.st_ino == after.st_ino);
    CHECK(before.st_ctim.tv_nsec == after.st_ctim.tv_nsec);

    write_file(to / "build/app", "old");
    CHECK(lay(commit, "build/app", true).empty());
    CHECK(read_file(to / "build/app") == "old");
    CHECK(lay(commit, "build/app").empty());
    CHECK(read_file(to / "build/app") == "new");
}

TEST_CASE_FIXTURE(Ignored, "a link in a tree leads nothing out of it")
{
    write_file(from / "build/app", "new");
    const auto commit = kept({"build"});
    fs::create_directory(folder / "outside");
    fs::create_directory_symlink(folder / "outside", to / "build");
    CHECK(contains(lay(commit, "build"), "cannot be written to"));
    CHECK(fs::is_empty(folder / "outside"));

    fs::remove(to / "build");
    write_file(folder / "outside/file", "outside");
    fs::create_directory(to / "build");
    fs::create_symlink(folder / "outside/file", to / "build/app");
    CHECK(lay(commit, "build").empty());
    CHECK(read_file(to / "build/app") == "new");
    CHECK(read_file(folder / "outside/file") == "outside");
}

TEST_CASE_FIXTURE(Ignored, "artifacts that are too large are a problem, and are not read")
{
    write_file(from / "build/app", "");
    SUBCASE("one of them")
    {
        fs::resize_file(from / "build/app", 300ULL << 30U);
        CHECK(contains(keep({"build"}).problem, "'build/app' (300.0 GiB) is declared"));
    }
    SUBCASE("all together")
    {
        options.max_artifact_bytes = 1500;
        forget_repository();
        write_file(from / "build/app", std::string(1000, 'x'));
        CHECK(keep({"build"}).problem.empty());
        write_file(from / "build/more", std::string(1000, 'y'));
        CHECK(contains(keep({"build"}).problem, "exceed 1.5 KiB in total"));
    }
}

TEST_CASE_FIXTURE(Ignored, "a repository within an artifact is named, and left out")
{
    git_in(from, {"init", "-q", "build/nested"});
    write_file(from / "build/nested/x", "x");
    write_file(from / "build/app", "x");
    const auto done = keep({"build"});
    CHECK(files(done.commit) == "build/app");
    REQUIRE(done.warnings.size() == 1);
    CHECK(contains(done.warnings.front(), "build/nested"));
}

TEST_CASE_FIXTURE(Ignored, "what was kept is listed, and can be forgotten")
{
    write_file(from / "build/app", "x");
    const auto commit = kept({"build"});
    const auto all = run(git::list_artifacts(repository()));
    REQUIRE(all.size() == 1);
    CHECK(all.front().run == "run-1");
    CHECK(all.front().commit == commit);
    CHECK(all.front().ref.starts_with(ref));
    CHECK(run(repository().drop_ref(all.front().ref, all.front().commit)).empty());
    CHECK(run(git::list_artifacts(repository())).empty());
}

TEST_CASE_FIXTURE(Ignored, "what was laid is not committed where git does not ignore it")
{
    write_file(from / "build/app", "x\r\n");
    write_file(from / "build/other", "x");
    CommitRules rules;
    rules.laid.push_back({kept({"build"}), "build"});
    fs::remove(to / ".gitignore");
    configure("[core]\nautocrlf = input");
    forget_repository();
    CHECK(lay(rules.laid.front().commit, "build").empty());
    write_file(to / "own", "own");
    std::string expected = "file\nfolder/other\nown";
    SUBCASE("as it was laid") {}
    SUBCASE("but what was changed is")
    {
        write_file(to / "build/app", "changed");
        expected = "build/app\n" + expected;
    }
    SUBCASE("but what is declared is")
    {
        rules.declared = {"build/app", "own", ".gitignore"};
        expected = "build/app\n" + expected;
    }
    const auto done = commit_by(to, rules);
    CHECK_MESSAGE(done.problem.empty(), done.problem);
    for (const auto& warning : done.warnings) FAIL_CHECK(warning);
    CHECK(files(done.commit) == expected);
    CHECK(read_file(to / "build/other") == "x");
}

TEST_CASE_FIXTURE(Ignored, "a source that is no commit is refused")
{
    CHECK(contains(lay("--output=x", "build"), "the commit id is invalid"));
    CHECK_FALSE(lay(std::string(40, '0'), "build").empty());
}

TEST_SUITE_END();
