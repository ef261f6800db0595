#include "support/project.hpp"

#include <sys/stat.h>

using namespace autoexec::test;

namespace {

constexpr auto agents_file = ".cursor/background-agents.yaml";

boost::json::object only_object(const Ended& ended)
{
    const auto objects = objects_of(ended.out);
    REQUIRE_MESSAGE(objects.size() == 1, ended.out, ended.err);
    return objects.front();
}

unsigned mode_of(const fs::path& path)
{
    struct stat info {};
    REQUIRE(::lstat(path.c_str(), &info) == 0);
    return info.st_mode & 0777U;
}

Ended run_in(const Project& project, const fs::path& folder, Words words)
{
    auto start = project.start(std::move(words));
    start.folder = folder;
    Program program(start);
    return program.wait();
}

}  // namespace

TEST_CASE("a file is written and a command runs in a repository without commits")
{
    Project project;
    const TemporaryFolder folder;
    project.git_in(folder.path(), {"init", "-q", "."});
    auto ended = run_in(project, folder.path(), {"agents", "init", "--preset", "shell"});
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(contains(ended.out, agents_file));
    CHECK(ended.err.empty());
    CHECK(mode_of(folder / agents_file) == 0600);

    ended = run_in(project, folder.path(), {"run", "--json", "echo hi"});
    CHECK_MESSAGE(ended.code == 0, ended.out, ended.err);
    CHECK(text_at(only_object(ended), "output") == "hi\n");
    CHECK_FALSE(contains(ended.err, "commands run with /bin/sh"));
    const auto left = project.git_in(folder.path(), {"status", "--porcelain", "-uall"});
    CHECK(left == "?? .cursor/background-agents.yaml\n");
}

TEST_CASE("a file that is there is kept, unless it is to be replaced")
{
    Project project;
    project.write(agents_file, "mine");
    auto ended = project.run({"agents", "init"});
    CHECK(ended.code == 2);
    CHECK(contains(ended.err, "already exists; replace it with --overwrite"));
    CHECK(read_file(project.root() / agents_file) == "mine");
    CHECK(Project::names_in(project.root() / ".cursor") == Words{"background-agents.yaml"});

    ended = project.run({"agents", "init", "--stdout"});
    CHECK(ended.code == 0);
    const auto shown = ended.out;
    CHECK(contains(shown, "name: shell"));
    CHECK(project.run({"agents", "init", "--overwrite"}).code == 0);
    CHECK(read_file(project.root() / agents_file) == shown);
    CHECK(project.run({"agents", "init", "--overwrite", "--minimal"}).code == 0);
    CHECK_FALSE(contains(read_file(project.root() / agents_file), "#"));
}

TEST_CASE("a link in the place of the file or its folder is not followed")
{
    Project project;
    const TemporaryFolder elsewhere;
    write_file(elsewhere / "theirs", "theirs");
    fs::create_directory(project.root() / ".cursor");
    fs::create_symlink(elsewhere / "theirs", project.root() / agents_file);
    CHECK(project.run({"agents", "init"}).code == 2);
    CHECK(project.run({"agents", "init", "--overwrite"}).code == 0);
    CHECK(read_file(elsewhere / "theirs") == "theirs");
    CHECK(fs::is_regular_file(fs::symlink_status(project.root() / agents_file)));

    fs::remove_all(project.root() / ".cursor");
    fs::create_directory_symlink(elsewhere.path(), project.root() / ".cursor");
    const auto ended = project.run({"agents", "init"});
    CHECK(ended.code == 4);
    CHECK(contains(ended.err, "autoexec agents init: cannot write "));
    CHECK(Project::names_in(elsewhere.path()) == Words{"theirs"});
}

TEST_CASE("presets can be combined, and a missing program is reported")
{
    Project project;
    auto ended = project.run(
        {"agents", "init", "--preset", "codex", "--preset", "shell", "--preset", "codex"});
    CHECK(ended.code == 0);
    CHECK(contains(ended.err, "'codex' was not found; looked in "));
    CHECK_FALSE(contains(ended.err, "sh'"));
    ended = project.run({"agents", "list", "--json"});
    CHECK(ended.code == 0);
    const auto agents = objects_of(ended.out);
    REQUIRE(agents.size() == 2);
    CHECK(text_at(agents[0], "name") == "codex");
    CHECK(text_at(agents[0], "outcome") == "codex");
    CHECK(text_at(agents[0], "programs") == R"([{"name":"codex","path":null}])");
    CHECK(text_at(agents[1], "takes_commands") == "true");
    CHECK(text_at(agents[1], "programs") == R"([{"name":"/bin/sh","path":"/bin/sh"}])");

    ended = project.run({"run", "--retry", "0", "--json", "--agent", "codex", "x"});
    CHECK(ended.code == 1);
    CHECK(contains(text_at(only_object(ended), "error"), "'codex' was not found; looked in "));
}

TEST_CASE("the installed programs can be detected")
{
    Project project;
    project.write("bin/claude", "#!/bin/sh\n");
    fs::permissions(project.root() / "bin/claude", fs::perms::owner_all);
    project.set("PATH", (project.root() / "bin").string());
    const auto ended = project.run({"agents", "init", "--detect", "--stdout"});
    CHECK(ended.code == 0);
    CHECK(contains(ended.out, "name: claude"));
    CHECK_FALSE(contains(ended.out, "name: shell"));
    CHECK_FALSE(contains(ended.out, "name: codex"));
    fs::remove(project.root() / "bin/claude");
    CHECK(contains(project.run({"agents", "init", "--detect", "--stdout"}).out, "name: shell"));
    CHECK(project.run({"agents", "init", "--detect", "--preset", "codex"}).code == 2);
}

TEST_CASE("the list of agents shows which roles each of them has")
{
    Project project;
    project.write(".cursor/background-agents.yaml",
                  "agents:\n"
                  "  - {name: one, type: background, commands: ['/bin/sh -c {command}']}\n"
                  "  - {name: two, type: background, commands: ['/bin/true']}\n"
                  "roles: {writer: one, reader: two, looks: ~}\n");
    const auto agents = objects_of(project.run({"agents", "list", "--json"}).out);
    REQUIRE(agents.size() == 2);
    CHECK(text_at(agents[0], "roles") == R"(["looks","writer"])");
    CHECK(text_at(agents[1], "roles") == R"(["reader"])");
    const auto text = project.run({"agents", "list"}).out;
    const auto lines = lines_of(text);
    REQUIRE(lines.size() == 5);
    CHECK(lines[2] == "looks             role            agent one");
    CHECK(lines[3] == "reader            role            agent two");
    CHECK(lines[4] == "writer            role            agent one");
}

TEST_CASE("a preset that is not known is a wrong use that names the likely one")
{
    Project project;
    auto ended = project.run({"agents", "init", "--preset", "cluade"});
    CHECK(ended.code == 2);
    CHECK(contains(ended.err, "Did you mean 'claude'?"));
    for (const auto* name : {"claude", "codex", "cursor", "gemini", "opencode", "aider", "shell"}) {
        CHECK(contains(ended.err, name));
        CHECK(contains(project.run({"agents", "init", "--help"}).out, name));
        CHECK(contains(project.run({"agents", "init", "--stdout", "--preset", name}).out, name));
    }
    CHECK_FALSE(fs::exists(project.root() / ".cursor"));
    ended = project.run({"agents", "init", "--template", "x", "--minimal"});
    CHECK(ended.code == 2);
    CHECK(project.run({"agents"}).code == 2);
}

TEST_CASE("a template is copied byte for byte, if it is valid")
{
    Project project;
    const std::string text =
        "agents:\n- name: x # mine\n  type: background\n  commands: [\"true {command}\"]\n";
    project.write("template", text);
    CHECK(project.run({"agents", "init", "--template", "template"}).code == 0);
    CHECK(read_file(project.root() / agents_file) == text);

    project.write("template", "agents:\n- name: x\n  comands: []\n");
    auto ended = project.run({"agents", "init", "--template", "template", "--overwrite"});
    CHECK(ended.code == 3);
    CHECK(contains(ended.err, "template:3:3: warning"));
    CHECK(contains(ended.err, "Did you mean 'commands'?"));
    CHECK(read_file(project.root() / agents_file) == text);
    ended = project.run({"agents", "init", "--template", "no-such", "--overwrite"});
    CHECK(ended.code == 2);
    CHECK(contains(ended.err, "cannot read no-such: no such file."));
}

TEST_CASE("all problems of the file are reported with line and column, as text or as JSON")
{
    Project project;
    auto ended = project.run({"agents", "validate"});
    CHECK(ended.code == 3);
    CHECK(contains(ended.err, "does not exist"));
    CHECK(contains(ended.err, "autoexec agents init"));

    project.write(
        agents_file,
        "agents:\n"
        "  - name: a\n    type: foreground\n    commands: [\"a {comand}\"]\n    enabld: true\n");
    ended = project.run({"agents", "validate"});
    CHECK(ended.code == 3);
    CHECK(ended.out.empty());
    CHECK(contains(ended.err, "background-agents.yaml:3:11: error: Agent 1: Field 'type'"));
    CHECK(contains(ended.err, "background-agents.yaml:4:"));
    CHECK(contains(ended.err, "Did you mean 'enabled'?"));
    CHECK(contains(ended.err, "^"));

    ended = project.run({"agents", "validate", "--json"});
    CHECK(ended.code == 3);
    auto verdict = only_object(ended);
    CHECK(text_at(verdict, "valid") == "false");
    CHECK(text_at(verdict, "config_path") == (project.root() / agents_file).string());
    const auto& errors = verdict.at("errors").as_array();
    REQUIRE(errors.size() == 2);
    CHECK(text_at(errors[0].as_object(), "line") == "3");
    CHECK(text_at(errors[0].as_object(), "column") == "11");
    CHECK(text_at(errors[1].as_object(), "hint") == "Did you mean '{command}'?");
    CHECK(verdict.at("warnings").as_array().size() == 1);
    CHECK(project.run({"agents", "list"}).code == 3);

    // Another file, by its path from here.
    project.write("sub/other.yaml",
                  "agents: [{name: a, type: background, commands: ['x {command}']}]");
    ended = run_in(project, project.root() / "sub", {"agents", "validate", "other.yaml"});
    CHECK(ended.code == 0);
    CHECK(ended.out == "other.yaml is valid: 1 agent, of which 1 accepts commands.\n");
    verdict = only_object(project.run({"agents", "validate", "--json", "sub/other.yaml"}));
    CHECK(text_at(verdict, "valid") == "true");
    CHECK(text_at(verdict, "config_path") == "sub/other.yaml");
    for (const auto* path : {"no-such", "sub"}) {
        ended = project.run({"agents", "validate", path});
        CHECK(ended.code == 3);
        CHECK(contains(ended.err, std::string(path) + ": error: The file cannot be read: no"));
    }
}

TEST_CASE(
    "the placeholders of git's folders lead to the worktree's git directory and the repository's")
{
    Project project;
    project.add_agent("shell", "/bin/echo {git_dir} {git_common_dir} {command}");
    const auto tree = project.worktree("tree");
    const auto ended = project.run({"run", "--show-output", "-w", tree, "end"});
    CHECK(ended.code == 0);
    const auto common = (project.root() / ".git").string();
    CHECK_MESSAGE(contains(ended.out + ended.err, common + "/worktrees/tree " + common + " end"),
                  ended.out, ended.err);
}

TEST_CASE("agents.default chooses among several agents, and --agent overrides it")
{
    Project project;
    for (const auto* name : {"first", "second"})
        project.add_agent(name, std::string("/bin/sh -c 'echo ") + name + " >made' {command}");
    const auto made = [&] { return read_file(project.root() / "made"); };
    const auto open = project.run({"run", "x"});
    CHECK(open.code == 3);
    CHECK(contains(open.err, "('first', 'second'), or set agents.default"));
    CHECK(project.run({"config", "set", "agents.default", "second"}).code == 0);
    CHECK(project.run({"run", "x"}).code == 0);
    CHECK(made() == "second\n");
    CHECK(project.run({"run", "--agent", "first", "x"}).code == 0);
    CHECK(made() == "first\n");
    project.write("w.yaml", "id: w\nsteps:\n  - {id: a, command: x}\n");
    CHECK(project.run({"workflow", "run", "w.yaml", "--in-place"}).code == 0);
    CHECK(made() == "second\n");
    project.set("AUTOEXEC_AGENTS_DEFAULT", "third");
    const auto unknown = project.run({"run", "x"});
    CHECK(unknown.code == 3);
    CHECK(contains(unknown.err, "agents.default: unknown agent or role 'third'"));
    project.set("AUTOEXEC_AGENTS_DEFAULT", "shell");
    CHECK(project.run({"run", "echo shell >made"}).code == 0);
    CHECK(made() == "shell\n");
}
