#include "autoexec/health.hpp"

#include "programs/known_programs.hpp"
#include "support/health_fixture.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <boost/json/serialize.hpp>

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace autoexec;
using test::check_is;
using test::HealthFixture;
namespace fs = std::filesystem;

namespace {

constexpr auto healthy = HealthStatus::healthy;
constexpr auto degraded = HealthStatus::degraded;

/// A user who has signed in nowhere.
struct Setup : HealthFixture {
    Setup()
    {
        machine.variables.erase("ANTHROPIC_API_KEY");
        fs::create_directory(root() / ".git");
        test::write_file(root() / ".git/HEAD", "ref: refs/heads/main\n");
        fs::create_directories(root() / ".git/objects");
        fs::create_directories(root() / ".git/refs");
    }

    void use(const std::string& command, const std::string& more = {}) const
    {
        write_agents("  - name: a\n    type: background\n    commands: ['" + command +
                     " {command}']\n" + more);
    }

    HealthCheckResult check() { return checker().check_agent_setup(); }

    std::string place() { return std::string(check().details.at("signed_in").at("a").as_string()); }
};

}  // namespace

TEST_CASE("an agent whose program is neither known nor in use needs no sign-in")
{
    Setup f;
    check_is(f.check(), healthy, "No agent needs to sign in");
    f.use("my-script");
    check_is(f.check(), healthy, "No agent needs to sign in");
    f.use("claude -p --", "    enabled: false\n");
    check_is(f.check(), healthy, "No agent needs to sign in");
    f.write_agents("  - name: 7\n");
    check_is(f.check(), healthy, "No agent needs to sign in");
}

TEST_CASE("a program without a key or a login is degraded, with the way to sign in")
{
    Setup f;
    f.use("claude -p --");
    auto result = f.check();
    check_is(result, degraded, "Agent 'a': Claude Code is not signed in");
    CHECK(result.message.find("ANTHROPIC_API_KEY") != std::string::npos);
    CHECK(result.remedy.starts_with("Run claude auth login, or set ANTHROPIC_API_KEY"));
    CHECK(result.details.at("signed_in").as_object().empty());

    f.use("/opt/bin/gemini --skip-trust --prompt");
    result = f.check();
    check_is(result, degraded, "Gemini is not signed in");
    CHECK(result.remedy.starts_with("Set GEMINI_API_KEY"));
}

TEST_CASE("a variable is enough, and its value is not shown")
{
    Setup f;
    f.use("claude -p --");
    f.machine.variables["CLAUDE_CODE_OAUTH_TOKEN"] = "secret-token";
    const auto result = f.check();
    check_is(result, healthy, "a: CLAUDE_CODE_OAUTH_TOKEN");
    CHECK(boost::json::serialize(to_json(result)).find("secret") == std::string::npos);
}

TEST_CASE("the agent's own environment counts, as its program will see it")
{
    Setup f;
    f.use("claude -p --", "    environment: {ANTHROPIC_API_KEY: x}\n");
    CHECK(f.place() == "ANTHROPIC_API_KEY");
    f.use("claude -p --", "    clean_environment: true\n");
    check_is(f.check(), degraded, "not signed in");
    f.machine.variables["ANTHROPIC_AUTH_TOKEN"] = "x";
    CHECK(f.place() == "only with `--env ANTHROPIC_AUTH_TOKEN`");
    f.use("claude -p --", "    environment: {HOME: /nowhere}\n    clean_environment: true\n");
    CHECK(f.place() == "only with `--env ANTHROPIC_AUTH_TOKEN`");
}

TEST_CASE("files with credentials are found in the folder of each program")
{
    struct Case {
        std::string command;
        std::string file;
        std::string text;
    };
    for (const auto& [command, file, text] : std::vector<Case>{
             {"claude -p --", ".claude/.credentials.json", "{}"},
             {"claude -p --", ".claude/settings.json", R"({"apiKeyHelper": "/bin/key"})"},
             {"claude -p --", ".claude.json", R"({"primaryApiKey": "secret"})"},
             {"claude-agent-acp", ".claude/.credentials.json", "{}"},
             {"codex exec --", ".codex/auth.json", "{}"},
             {"codex exec --", ".codex/config.toml", "model_provider = \"mine\"\n"},
             {"gemini --skip-trust --prompt", ".gemini/oauth_creds.json", "{}"},
             {"gemini --skip-trust --prompt", ".env", "GEMINI_API_KEY=secret\n"},
             {"opencode run --", ".local/share/opencode/auth.json", "{}"},
             {"qwen --prompt", ".qwen/oauth_creds.json", "{}"},
             {"qwen --prompt", ".qwen/settings.json",
              R"({"security": {"auth": {"apiKey": "secret"}}})"},
         }) {
        CAPTURE(file);
        Setup f;
        f.use(command);
        test::write_file(f.home() / file, text);
        const auto result = f.check();
        check_is(result, healthy, (f.home() / file).string());
        CHECK(boost::json::serialize(to_json(result)).find("secret") == std::string::npos);
    }
}

TEST_CASE("a file without credentials is none")
{
    for (const auto& [file, text] : std::vector<std::pair<std::string, std::string>>{
             {".claude/.credentials.json", ""},
             {".claude/settings.json", R"({"env": {}, "apiKeyHelper": null})"},
             {".claude/settings.json", R"({"apiKeyHelper": )"},
             {".claude.json", "[]"},
         }) {
        CAPTURE(text);
        Setup f;
        f.use("claude -p --");
        test::write_file(f.home() / file, text);
        check_is(f.check(), degraded, "not signed in");
    }
}

TEST_CASE("a link to a file counts, a FIFO or a folder does not, and none of them hangs")
{
    Setup f;
    f.use("codex exec --");
    const auto file = f.home() / ".codex/auth.json";
    fs::create_directories(file.parent_path());
    SUBCASE("a link")
    {
        test::write_file(f.folder / "elsewhere", "{}");
        fs::create_symlink(f.folder / "elsewhere", file);
        check_is(f.check(), healthy, "auth.json");
    }
    SUBCASE("a FIFO")
    {
        REQUIRE(::mkfifo(file.c_str(), 0600) == 0);
        check_is(f.check(), degraded, "not signed in");
    }
    SUBCASE("a folder")
    {
        fs::create_directory(file);
        check_is(f.check(), degraded, "not signed in");
    }
    SUBCASE("a file that is larger than any")
    {
        test::write_file(file, "{}");
        fs::resize_file(file, 17 * 1024 * 1024);
        check_is(f.check(), degraded, "not signed in");
    }
}

TEST_CASE("the folder that a variable names replaces the usual one")
{
    Setup f;
    f.use("codex exec --");
    test::write_file(f.folder / "other/auth.json", "{}");
    check_is(f.check(), degraded, (f.home() / ".codex").string());
    f.machine.variables["CODEX_HOME"] = (f.folder / "other").string();
    CHECK(f.place() == (f.folder / "other/auth.json").string());
}

TEST_CASE("without HOME, or if programs may keep their keys elsewhere, there is no finding")
{
    Setup f;
    f.use("opencode run --");
    CHECK(f.place() == "unknown");
    f.use("claude -p --");
    f.machine.variables.erase("HOME");
    CHECK(f.place() == "unknown");
}

TEST_CASE("permissions that Claude ignores, because it does not trust the folder, are degraded")
{
    Setup f;
    f.machine.variables["ANTHROPIC_API_KEY"] = "x";
    f.use("claude -p --");
    const auto grant = [&f](const std::string& name) {
        test::write_file(f.root() / name, R"({"permissions": {"allow": ["Bash"]}})");
    };
    const auto trust = [&f](const fs::path& folder, const std::string& value) {
        test::write_file(f.home() / ".claude.json", R"({"projects": {")" + folder.string() +
                                                        R"(": {"hasTrustDialogAccepted": )" +
                                                        value + "}}}");
    };
    test::write_file(f.root() / ".claude/settings.json", R"({"permissions": {"allow": []}})");
    check_is(f.check(), healthy, "ANTHROPIC_API_KEY");
    grant(".claude/settings.json");
    auto result = f.check();
    check_is(result, degraded, "ignores the permissions in .claude/settings.json");
    CHECK(result.remedy.find("--allowedTools") != std::string::npos);

    trust(f.root(), "false");
    check_is(f.check(), degraded, "does not trust");
    trust(f.root(), "true");
    check_is(f.check(), healthy, "");
    trust(f.folder.path(), "true");  // a parent
    check_is(f.check(), healthy, "");
    trust(f.folder / "other", "true");
    check_is(f.check(), degraded, "does not trust");

    grant(".claude/settings.local.json");
    fs::remove(f.root() / ".claude/settings.json");
    check_is(f.check(), degraded, "settings.local.json");
    f.use("claude -p --permission-mode bypassPermissions --");
    check_is(f.check(), healthy, "");
    f.use("claude -p --", "    environment: {CLAUDE_CODE_SANDBOXED: '1'}\n");
    check_is(f.check(), healthy, "");
}

TEST_CASE("what trusts a repository trusts its worktrees")
{
    Setup f;
    f.machine.variables["ANTHROPIC_API_KEY"] = "x";
    f.use("claude -p --");
    const auto main = f.root();
    const auto tree = f.folder / "tree";
    const auto git_dir = main / ".git/worktrees/tree";
    test::write_file(git_dir / "gitdir", (tree / ".git").string() + "\n");
    test::write_file(git_dir / "commondir", "../..\n");
    test::write_file(git_dir / "HEAD", "ref: refs/heads/tree\n");
    test::write_file(tree / ".git", "gitdir: " + git_dir.string() + "\n");
    fs::create_directories(tree / ".cursor");
    fs::copy_file(main / ".cursor/background-agents.yaml", tree / ".cursor/background-agents.yaml");
    test::write_file(main / ".claude/settings.json", R"({"permissions": {"allow": ["Read"]}})");
    f.options.project_root = tree;
    check_is(f.check(), degraded, "does not trust " + main.string());
    test::write_file(f.home() / ".claude.json", R"({"projects": {")" + main.string() +
                                                    R"(": {"hasTrustDialogAccepted": true}}})");
    check_is(f.check(), healthy, "");
}

TEST_CASE("Codex outside git needs a folder that it trusts, or the option")
{
    Setup f;
    f.machine.variables["CODEX_API_KEY"] = "x";
    f.use("codex exec --");
    check_is(f.check(), healthy, "CODEX_API_KEY");
    fs::remove_all(f.root() / ".git");
    check_is(f.check(), degraded, "not in a git repository and not trusted");
    const auto trust = [&f](const fs::path& folder, const std::string& level) {
        test::write_file(f.home() / ".codex/config.toml",
                         "model = \"m\"\n[projects.\"" + folder.string() + "\"]\ntrust_level = \"" +
                             level + "\"\n\n[other]\na = \"trusted\"\n");
    };
    trust(f.root(), "untrusted");
    check_is(f.check(), degraded, "does not start");
    trust(f.folder / "other", "trusted");
    check_is(f.check(), degraded, "does not start");
    trust(f.root(), "trusted");
    check_is(f.check(), healthy, "");
    fs::remove(f.home() / ".codex/config.toml");
    f.use("codex exec --skip-git-repo-check --");
    check_is(f.check(), healthy, "");
}

TEST_CASE("Gemini needs a folder that it trusts, or the option; its nearest rule counts")
{
    Setup f;
    f.machine.variables["GEMINI_API_KEY"] = "x";
    f.use("gemini --prompt");
    check_is(f.check(), degraded, "Gemini does not trust");
    const auto rules = [&f](const std::string& text) {
        test::write_file(f.home() / ".gemini/trustedFolders.json", text);
    };
    const auto root = f.root().string();
    const auto above = f.folder.path().string();
    for (const auto& [text, status] : std::vector<std::pair<std::string, HealthStatus>>{
             {"{\"" + root + "\": \"TRUST_FOLDER\"}", healthy},
             {"{\"" + above + "\": \"TRUST_FOLDER\"}", healthy},
             {"{\"" + root + "/x\": \"TRUST_PARENT\"}", healthy},
             {"{\"" + root + "/x\": \"TRUST_FOLDER\"}", degraded},
             {"{\"" + root + "\": 7}", degraded},
             {"{\"" + above + "\": \"TRUST_FOLDER\", \"" + root + "\": \"DO_NOT_TRUST\"}",
              degraded},
             {"{\"" + above + "\": \"DO_NOT_TRUST\", \"" + root + "\": \"TRUST_FOLDER\"}", healthy},
             {"not JSON", degraded},
         }) {
        CAPTURE(text);
        rules(text);
        check_is(f.check(), status, "");
    }
    test::write_file(f.home() / ".gemini/settings.json",
                     R"({"security": {"folderTrust": {"enabled": false}}})");
    check_is(f.check(), healthy, "");
    fs::remove(f.home() / ".gemini/settings.json");
    f.machine.variables["GEMINI_CLI_TRUST_WORKSPACE"] = "true";
    check_is(f.check(), healthy, "");
    f.machine.variables.erase("GEMINI_CLI_TRUST_WORKSPACE");
    f.use("gemini --skip-trust --prompt");
    check_is(f.check(), healthy, "");
}

TEST_CASE("the check of the setup only reads, and runs no program")
{
    Setup f;
    f.use("claude -p --");
    test::write_file(f.home() / ".claude/.credentials.json", "{}");
    const auto before = test::listing(f.folder.path());
    (void)f.check();
    CHECK(test::listing(f.folder.path()) == before);
    CHECK(f.machine.runs.empty());
}

TEST_CASE("each program that is certain to need a key says where it may be")
{
    int count = 0;
    for (const auto& program : programs::known_programs()) {
        if (!program.sign_in.certain) continue;
        CAPTURE(program.name);
        CHECK_FALSE(program.sign_in.variables.empty());
        CHECK_FALSE(program.sign_in.files.empty());
        ++count;
    }
    CHECK(count >= 4);
}
