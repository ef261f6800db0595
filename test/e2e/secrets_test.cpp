#include "support/project.hpp"
#include "support/sweep.hpp"

#include <doctest/doctest.h>

#include <random>

using namespace autoexec::test;

namespace {

constexpr char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
constexpr char hex_digits[] = "0123456789abcdef";

std::string noise(std::mt19937& random, std::size_t length, std::string_view alphabet = letters)
{
    std::string text;
    while (text.size() < length) text += alphabet[random() % alphabet.size()];
    return text;
}

std::string url_encoded(std::string_view bytes)
{
    std::string text;
    for (const unsigned char byte : bytes) {
        if (std::isalnum(byte) != 0 || contains("-_.~", {reinterpret_cast<const char*>(&byte), 1}))
            text += static_cast<char>(byte);
        else
            text.append({'%', "0123456789ABCDEF"[byte >> 4], "0123456789ABCDEF"[byte & 15]});
    }
    return text;
}

// Put together here, so that none stands in a source file.
Words provider_tokens(std::mt19937& random)
{
    const auto a = [&](std::size_t n) { return noise(random, n); };
    const auto hex = [&](std::size_t n) { return noise(random, n, hex_digits); };
    const auto capitals = [&](std::size_t n) {
        return noise(random, n, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567");
    };
    return {"sk-" + a(48),
            "sk-" + ("proj-" + a(60)),
            "sk-" + ("ant-api03-" + a(90)),
            "gh" + ("p_" + a(36)),
            "gh" + ("o_" + a(36)),
            "gh" + ("s_" + a(36)),
            "github" + ("_pat_" + a(60)),
            "gl" + ("pat-" + a(20)),
            "xo" + ("xb-" + a(40)),
            "xa" + ("pp-" + a(40)),
            "AI" + ("za" + a(35)),
            "AK" + ("IA" + capitals(16)),
            "AS" + ("IA" + capitals(16)),
            "sk" + ("_live_" + a(24)),
            "rk" + ("_test_" + a(24)),
            "np" + ("m_" + a(36)),
            "hf" + ("_" + a(34)),
            "gs" + ("k_" + a(52)),
            "pypi" + ("-AgEIcHlwaS5vcmc" + a(60)),
            "dop" + ("_v1_" + hex(64)),
            "dapi" + hex(32),
            "SG" + ("." + a(22) + "." + a(43)),
            "hvs" + ("." + a(24)),
            "lin_" + ("api_" + a(40)),
            "ey" + ("J" + a(20) + ".ey" + "J" + a(30) + "." + a(43))};
}

struct Secret {
    std::string name;  ///< Of the variable that it is in.
    std::string value;
};

// What a shell can pass through `printf %s`, and everything that an encoding changes.
std::vector<Secret> random_secrets(std::mt19937& random, std::size_t count)
{
    const std::string_view odd = "\"'/\\=%+&@:*-_ !#$?<>|;~^{}[]()";
    const std::array<std::string, 4> endings = {"_TOKEN", "_KEY", "_SECRET", "_PASSWORD"};
    std::vector<Secret> secrets;
    while (secrets.size() < count) {
        std::string value = noise(random, 1);
        const auto length = 12 + random() % 40;
        while (value.size() < length)
            value += random() % 4 == 0 ? odd[random() % odd.size()] : letters[random() % 62];
        secrets.push_back({"TEST_" + std::to_string(secrets.size()) + endings[random() % 4],
                           value + noise(random, 1)});
    }
    return secrets;
}

/// What is printed by a script: each variable as it is, in base64, URL-encoded and as an argument.
constexpr char print_all[] = R"(
for name in $(env | grep -o '^\(TEST\|PROVIDER\)_[0-9A-Z_]*'); do
    eval "value=\$$name"
    printf 'raw %s.\n' "$value"
    printf %s "$value" | base64 -w0; echo
    printf 'user=me&%s=%s\n' "$name" "$value"
    printf '{"%s": "%s"}\n' "$name" "$value"
done
cat encoded
)";

/// All forms that must not be found anywhere.
Words forms_of(const std::vector<Secret>& secrets)
{
    Words forms;
    for (const auto& [name, value] : secrets) {
        forms.push_back(value);
        forms.push_back(base64(value));
        if (url_encoded(value) != value) forms.push_back(url_encoded(value));
    }
    return forms;
}

/// The forms that `text` holds.
Words found_in(const std::string& text, const Words& forms)
{
    Words found;
    for (const auto& form : forms)
        if (contains(text, form)) found.push_back(form);
    return found;
}

void check_free_of(const Project& project, const Ended& ended, const Words& forms)
{
    CHECK(found_in(ended.out, forms) == Words{});
    CHECK(found_in(ended.err, forms) == Words{});
    std::size_t files = 0;
    for (const auto& entry : fs::recursive_directory_iterator(project.records())) {
        if (!entry.is_regular_file()) continue;
        ++files;
        CHECK_MESSAGE(found_in(read_file(entry.path()), forms) == Words{}, entry.path().string());
        CHECK(found_in(entry.path().filename(), forms) == Words{});
    }
    CHECK(files >= 3);  // metrics, audit, output
    for (const auto& name : Project::names_in(project.root() / "kept"))
        CHECK_MESSAGE(found_in(read_file(project.root() / "kept" / name), forms) == Words{}, name);
}

}  // namespace

TEST_CASE("no secret of the environment gets into a record, a control file or our output" *
          doctest::test_suite("sweep"))
{
    std::mt19937 random(sweep_seed());
    Project project;
    auto secrets = random_secrets(random, 100);
    std::string encoded;
    for (const auto& [name, value] : secrets) {
        project.set(name, value);
        encoded += url_encoded(value) + "\n" + base64(value) + "\n" +
                   "https://me:" + url_encoded(value) + "@example.org/\n";
    }
    project.write("encoded", encoded);
    const auto forms = forms_of(secrets);

    // The command keeps what the others wrote while it runs; its own file alone may say all.
    const std::string script = std::string(print_all) +
                               "mkdir -p kept\n"
                               "for f in .cursor-skill-*; do case $f in *command.txt) ;; "
                               "*) cp \"$f\" kept/;; esac; done\n";
    project.write("both.sh", script + "(" + print_all + ") >&2\n");
    for (const std::string end : {"true",
                                  "printf '%s' \"fatal: $TEST_1_KEY$TEST_1_TOKEN$TEST_1_SECRET"
                                  "$TEST_1_PASSWORD\" >&2; exit 1"}) {
        const auto ended = project.run({"run", "--json", "--show-output", ". ./both.sh; " + end});
        CHECK(ended.code == (end == "true" ? 0 : 1));
        CHECK(contains(ended.out, "REDACTED"));
        check_free_of(project, ended, forms);
    }
    CHECK(Project::names_in(project.root() / "kept").size() >= 3);

    // In the command text, too; each run prints as a person would see it.
    for (std::size_t i = 0; i < secrets.size(); i += 10) {
        const auto ended = project.run({"run", "--show-output", "--", "sh", "-c",
                                        "printf %s \"$1\"; exit 1", "x", secrets[i].value});
        CHECK(contains(ended.err, "secret"));
        check_free_of(project, ended, forms);
    }
    for (const Words& words : std::vector<Words>{{"history"}, {"history", "--json"}}) {
        const auto ended = project.run(words);
        CHECK(found_in(ended.out + ended.err, forms) == Words{});
    }
}

TEST_CASE("no token of a known provider gets into a record, a control file or our output" *
          doctest::test_suite("sweep"))
{
    std::mt19937 random(sweep_seed());
    Project project;
    const auto tokens = provider_tokens(random);
    for (const auto& token : tokens) {
        CAPTURE(token.substr(0, 8));
        const auto ended =
            project.run({"run", "--json", "--show-output",
                         "mkdir -p kept; for f in .cursor-skill-*; do case $f in *command.txt) ;; "
                         "*) cp \"$f\" kept/;; esac; done; echo 'it is " +
                             token + "'; echo fatal: bad credential '" + token + "' >&2; exit 1"});
        CHECK(ended.code == 1);
        CHECK(contains(ended.out, "REDACTED"));
        check_free_of(project, ended, {token});
    }
    CHECK(project.metrics().size() == tokens.size());
}

TEST_CASE("status and logs of a command that runs show no secret")
{
    std::mt19937 random(7);
    Project project;
    const auto secrets = random_secrets(random, 1);
    project.set(secrets[0].name, secrets[0].value);
    const auto forms = forms_of(secrets);
    Program engine(project.start({"run", "--", "sh", "-c",
                                  "echo \"it is $1\"; until test -e go; do sleep 0.02; done", "x",
                                  secrets[0].value}));
    const auto id = project.wait_for_running(1).front();
    for (const Words& words : std::vector<Words>{{"status"}, {"status", "--json"}, {"logs", id}}) {
        // Another terminal may not have the variable, so this is what the executor has written.
        auto start = project.start(words);
        std::erase_if(start.environment,
                      [&](const auto& v) { return v.starts_with(secrets[0].name); });
        Program program(start);
        const auto ended = program.wait();
        CHECK(ended.code == 0);
        CHECK(found_in(ended.out + ended.err, forms) == Words{});
    }
    for (const auto& file : Project::files_in(project.records() / "running"))
        CHECK(found_in(read_file(file), forms) == Words{});
    project.write("go", "");
    CHECK(engine.wait().code == 0);
}
