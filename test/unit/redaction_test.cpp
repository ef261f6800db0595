#include "autoexec/redaction.hpp"
#include "support/text.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cctype>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

using namespace autoexec;
using test::base64;

namespace {

using Environment = std::vector<std::pair<std::string, std::string>>;

const std::string marker = "***REDACTED***";

std::string redact(std::string_view text, const Environment& environment = {})
{
    return Redactor(environment).redact(text);
}

std::string in_chunks(const std::shared_ptr<const Redactor>& redactor, std::string_view text,
                      std::size_t size)
{
    Redactor::Stream stream(redactor);
    std::string out;
    for (std::size_t at = 0; at < text.size(); at += size)
        out += stream.feed(text.substr(at, size));
    return out += stream.finish();
}

// Holds for every text: no chunking changes the result, and doing it twice changes nothing.
void check_everywhere(const Environment& environment, const std::string& text,
                      const std::vector<std::string>& secrets)
{
    const auto redactor = std::make_shared<const Redactor>(environment);
    const auto whole = redactor->redact(text);
    CAPTURE(text);
    CAPTURE(whole);
    for (const auto& secret : secrets) CHECK(whole.find(secret) == whole.npos);
    CHECK(redactor->redact(whole) == whole);
    CHECK(redactor->finds_secret(text) == (whole != text));
    CHECK(in_chunks(redactor, text, 1) == whole);

    bool same = true;
    for (std::size_t border = 0; border <= text.size(); ++border) {
        Redactor::Stream stream(redactor);
        auto out = stream.feed(std::string_view(text).substr(0, border));
        out += stream.feed(std::string_view(text).substr(border));
        out += stream.finish();
        same = same && out == whole;
    }
    CHECK(same);
}

// Letters and digits of no meaning, so that no real token stands in a source file.
std::string noise(std::size_t length, std::string_view alphabet = "0123456789abcdefABCDEFghXYZ")
{
    std::string text;
    for (std::size_t i = 0; i < length; ++i) text += alphabet[(i * 7 + length) % alphabet.size()];
    return text;
}

std::string percent_encoded(std::string_view bytes, const char* hex)
{
    std::string text;
    for (const unsigned char byte : bytes)
        if (std::isalnum(byte) != 0)
            text += static_cast<char>(byte);
        else
            text.append({'%', hex[byte >> 4], hex[byte & 15]});
    return text;
}

std::string random_secret(std::mt19937& random)
{
    const std::string_view odd = "\"'/\\=%+&@:*-_ ";
    std::string secret;
    const auto length = 8 + random() % 33;
    while (secret.size() < length)
        secret +=
            random() % 3 == 0 ? odd[random() % odd.size()] : static_cast<char>('!' + random() % 94);
    secret.front() = 'a';
    secret.back() = 'z';
    return secret;
}

}  // namespace

TEST_CASE("tokens of providers are found by their prefix, at every chunk border")
{
    const std::string hex = "0123456789abcdef0123456789abcdef";
    const std::vector<std::string> tokens{
        "sk-" + noise(48),
        "sk-proj-" + noise(20) + "_-" + noise(20),
        "sk-ant-api03-" + noise(40),
        "ghp_" + noise(36),
        "gho_" + noise(36),
        "ghu_" + noise(36),
        "ghs_" + noise(36),
        "ghr_" + noise(36),
        "github_pat_" + noise(22) + "_" + noise(59),
        "glpat-" + noise(20),
        "gldt-" + noise(20),
        "glrt-" + noise(20),
        "glptt-" + noise(40),
        "xoxb-" + noise(12, "0123456789") + "-" + noise(24),
        "xoxp-" + noise(30),
        "xapp-1-" + noise(40),
        "AIza" + noise(35),
        "ya29." + noise(60),
        "AKIA" + noise(16, "ABCDEFGH234567"),
        "ASIA" + noise(16, "ABCDEFGH234567"),
        "sk_live_" + noise(24),
        "rk_live_" + noise(24),
        "sk_test_" + noise(24),
        "npm_" + noise(36),
        "pypi-AgEIcHlwaS5vcmc" + noise(60),
        "hf_" + noise(34),
        "dop_v1_" + hex + hex,
        "SG." + noise(22) + "." + noise(43),
        "shpat_" + hex,
        "hvs." + noise(90),
        "dckr_pat_" + noise(27),
        "eyJ" + noise(20) + ".eyJ" + noise(40) + "." + noise(43),
        "figd_" + noise(20) + "-" + noise(19),
        "dp.pt." + noise(43),
        "dp.st." + noise(43),
        "dp.st.prd_eu." + noise(43),
        "rubygems_" + hex + "0123456789abcdef",
    };
    for (const auto& token : tokens) {
        check_everywhere({}, "before " + token + " after", {token});
        CHECK(redact("before " + token + " after") == "before " + marker + " after");
        CHECK(redact("(" + token + ")\n") == "(" + marker + ")\n");
        CHECK(redact(R"({"log":"a\n)" + token + R"(\n"})").find(token) == std::string::npos);
    }
}

TEST_CASE("values of secret names go and the names stay")
{
    const std::vector<std::pair<std::string, std::string>> cases{
        {"password=hunter22", "password=*"},
        {"run --password hunter22 now", "run --password * now"},
        {"run --password=hunter22 now", "run --password=* now"},
        {"run --db-password 'two words' now", "run --db-password '*' now"},
        {"run --token abcdef", "run --token *"},
        {"run --client-secret x1y2", "run --client-secret *"},
        {"run --api-key=abc", "run --api-key=*"},
        {R"(["run", "--password", "hunter22"])", R"(["run", "--password", "*"])"},
        {"GITHUB_TOKEN=abcdefgh make", "GITHUB_TOKEN=* make"},
        {"export DB_PASS=hunter22", "export DB_PASS=*"},
        {"MY_SECRET='a b c'", "MY_SECRET='*'"},
        {"STRIPE_KEY=" + noise(30), "STRIPE_KEY=*"},
        {"AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K/bPxRfiCY", "AWS_SECRET_ACCESS_KEY=*"},
        {"aws_secret_access_key: wJalrXUtnFEMI/K7MDENG/bPx", "aws_secret_access_key: *"},
        {"password: hunter2", "password: *"},
        {R"(run --password 'it'\''s' now)", "run --password '*' now"},
        {"passwd: hunter22", "passwd: *"},
        {"password = x9y8z7w6", "password = *"},
        {"password = \"correct\"", "password = \"*\""},
        {"pwd=hunter22;user=me", "pwd=*;user=me"},
        {"user=me, password=hunter22, host=h", "user=me, password=*, host=h"},
        {"password=hunter,22", "password=*"},
        {R"({"password": "x"})", R"({"password": "*"})"},
        {R"({"password":"a\"b\\"})", R"({"password":"*"})"},
        {R"({"clientSecret": "abc", "a": 1})", R"({"clientSecret": "*", "a": 1})"},
        {R"({\"password\": \"x\", \"a\": 1})", R"({\"password\": \"*\", \"a\": 1})"},
        {R"(\"password\": \"a\\\"b\", \"c\")", R"(\"password\": \"*\", \"c\")"},
        {R"(\\\"password\\\": \\\"x y\\\" z)", R"(\\\"password\\\": \\\"*\\\" z)"},
        {R"({"cmd": "run --password=hunter22"})", R"({"cmd": "run --password=*"})"},
        {R"({"cmd": "run --password=\"hunter22\""})", R"({"cmd": "run --password=\"*\""})"},
        {"{'api_key': 'abc-def'}", "{'api_key': '*'}"},
        {"https://h/?access_token=abc&b=1", "https://h/?access_token=*&b=1"},
        {"aws_secret_access_key = " + noise(39) + "/", "aws_secret_access_key = *"},
        {"Authorization: Bearer abc.def", "Authorization: Bearer *"},
        {"authorization: Basic dXNlcjpwYXNz", "authorization: Basic *"},
        {"-H 'Authorization: token abcdef12'", "-H 'Authorization: token *'"},
        {R"("Authorization": "Bearer abcdef")", R"("Authorization": "Bearer *")"},
        {"x-api-key: " + noise(32), "x-api-key: *"},
        {"https://user:pass@host/x", "https://user:*@host/x"},
        {"postgres://u:p@ss@host:5432/db", "postgres://u:*@host:5432/db"},
        {"redis://:hunter22@host", "redis://:*@host"},
    };
    for (const auto& [text, expected] : cases) {
        auto wanted = expected;
        wanted.replace(wanted.find('*'), 1, marker);
        CHECK(redact(text) == wanted);
        check_everywhere({}, text + "\n" + text, {});
    }
}

TEST_CASE("passwords of curl, of MySQL's clients and of netrc go")
{
    const std::vector<std::pair<std::string, std::string>> cases{
        {"curl -u me:hunter22 https://host", "curl -u me:* https://host"},
        {"curl -sSfu me:letmein https://host", "curl -sSfu me:* https://host"},
        {"curl -ume:letmein x", "curl -ume:* x"},
        {"curl --user 'me:let me in' x", "curl --user 'me:*' x"},
        {"/usr/bin/curl -s \"x?a=1&b=2\" --proxy-user \"me:let\\\"me\" x",
         "/usr/bin/curl -s \"x?a=1&b=2\" --proxy-user \"me:*\" x"},
        {"curl -u a:letmein -U b:letmein x", "curl -u a:* -U b:* x"},
        {R"(["curl", "-u", "me:letmein", "x"])", R"(["curl", "-u", "me:*", "x"])"},
        {R"({"command":"curl -u \"me:letmein\" x"})", R"({"command":"curl -u \"me:*\" x"})"},
        {"curl \\\n  -u me:hunter22 \\\n  https://host", "curl \\\n  -u me:* \\\n  https://host"},
        {"mysql -u root -pletmein db", "mysql -u root -p* db"},
        {"mysqldump -uroot -p'let me in' db | gzip", "mysqldump -uroot -p'*' db | gzip"},
        {"mysqladmin -p1234 status", "mysqladmin -p* status"},
        {"/usr/bin/mariadb-dump -pletmein db", "/usr/bin/mariadb-dump -p* db"},
        {"mysql -e 'select 1; select 2' -pletmein", "mysql -e 'select 1; select 2' -p*"},
        {R"(["mysql","-pletmein"])", R"(["mysql","-p*"])"},
        {"machine host login me password letmein", "machine host login me password *"},
        {"machine host\tpassword letmein login me", "machine host\tpassword * login me"},
        {"default login me password letmein", "default login me password *"},
        {"machine host\n  login me\n  password hunter22\n",
         "machine host\n  login me\n  password *\n"},
        {R"("machine host\n login me\n password letmein\nmachine b password letmein")",
         R"("machine host\n login me\n password *\nmachine b password *")"},
    };
    for (auto [text, wanted] : cases) {
        for (auto at = wanted.find('*'); at != wanted.npos; at = wanted.find('*', at + 14))
            wanted.replace(at, 1, marker);
        CHECK(redact(text) == wanted);
        check_everywhere({}, text + "\n" + text, {});
    }
}

TEST_CASE("environment secrets go in hex and percent-encoded forms, too")
{
    const Environment environment{{"A_TOKEN", "plain-One-1?"}};
    const std::vector<std::string> forms{
        "706c61696e2d4f6e652d313f",
        "706C61696E2D4F6E652D313F",
        "70 6c 61 69 6e 2d 4f 6e 65 2d 31 3f",
        "70:6C:61:69:6E:2D:4F:6E:65:2D:31:3F",
        R"(\x70\x6c\x61\x69\x6e\x2d\x4f\x6e\x65\x2d\x31\x3f)",
        "%70%6C%61%69%6E%2D%4F%6E%65%2D%31%3F",
        "%70%6c%61%69%6e%2d%4f%6e%65%2d%31%3f",
        "plain-One-1%3F",
        "plain%2dOne%2d1%3f",
    };
    for (const auto& form : forms) {
        CHECK(redact("<" + form + ">", environment) == "<" + marker + ">");
        check_everywhere(environment, "a " + form + form + "\n" + form, {form});
    }
}

TEST_CASE("what only looks like a secret stays")
{
    const std::vector<std::string> texts{
        "password: field",
        "--auth oauth2",
        "token: string",
        "the token: a word; its secret: nothing",
        "--password option",
        "the --token and --secret flags",
        "--token-file /run/x --password-stdin",
        "--password --verbose",
        "--token <token>",
        "--api-key YOUR_API_KEY",
        "password=$PASSWORD",
        "--password \"$DB_PASSWORD\"",
        "token=${{ secrets.TOKEN }}",
        "https://x:${TOKEN}@host",
        "password=None",
        "max_tokens: 4096",
        "token=17",
        "token::type x; if (token == other) token = next();",
        "PWD=/home/me/work",
        "docker run -u 1000:1000 image -p8080:80",
        "curl -u \"$USER:$PASSWORD\" -u user: -u name:password x",
        "chown -u me:staff file; install -o me:staff2",
        "mysql -p db; mysql -p -u root; mysql --port=3306",
        "mysql db && mkdir -pv x; ssh -p2222 host",
        "ssh -pletmein host; mysqlx-tool; patch -p1",
        "the login name and password are asked for",
        "  password required",
        "this machine needs a password manager",
        "dp.pt.short figd_short rubygems_update rubygems_integration_tests",
        "commit 3f2a9c4e5b6d7f8091a2b3c4d5e6f708192a3b4c",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "550e8400-e29b-41d4-a716-446655440000",
        "risk-management-of-disk-arrays, task-oriented",
        "https://example.com:8080/a@b",
        "git@github.com:owner/repo.git",
        "<a accesskey=\"n\" href=\"x\">",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
        marker,
        "password=" + marker + " --token " + marker,
    };
    for (const auto& text : texts) {
        CHECK(redact(text) == text);
        CHECK_FALSE(Redactor(Environment{}).finds_secret(text));
        check_everywhere({}, text, {});
    }
}

TEST_CASE("a private key block is redacted as a whole, over several lines or escaped on one")
{
    for (const std::string label : {"", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "}) {
        const auto begin = "-----BEGIN " + label + "PRIVATE KEY-----";
        const auto end = "-----END " + label + "PRIVATE KEY-----";
        const auto body = noise(64) + "\n" + noise(60) + "\n";
        check_everywhere({}, "a\n" + begin + "\n" + body + end + "\nb\n", {noise(64), noise(60)});
        CHECK(redact("a\n" + begin + "\n" + body + end + "\nb\n") == "a\n" + marker + "\nb\n");
        CHECK(redact("k: " + begin + "\\n" + noise(64) + "\\n" + end + "\\n, b") ==
              "k: " + marker + "\\n, b");
        check_everywhere({}, "a " + begin + "\n" + body, {noise(64), noise(60)});
    }
    check_everywhere({}, "--token x.-----END PRIVATE KEY-----BEGIN PRIVATE KEY-----\n" + noise(64),
                     {noise(64)});
    const std::string pgp = "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n" + noise(64) +
                            "\n=abcd\n-----END PGP PRIVATE KEY BLOCK-----";
    CHECK(redact(pgp) == marker);
}

TEST_CASE("a private key that is cut off is redacted to the end, within a bound")
{
    const std::string begin = "-----BEGIN PRIVATE KEY-----\n";
    CHECK(redact("a\n" + begin + noise(64) + "\n" + noise(20)) == "a\n" + marker);

    std::string prose;
    for (int i = 0; i < 20; ++i) prose += "an ordinary line of words\n";
    const auto mentioned = redact(begin + prose);
    CHECK(mentioned.starts_with(marker + "\n"));
    CHECK(mentioned.ends_with("an ordinary line of words\n"));

    const auto endless = redact(begin + std::string(200'000, 'A') + " the end");
    CHECK(endless.ends_with(" the end"));
    CHECK(endless.size() > 100'000);
    check_everywhere({}, begin + std::string(3000, 'A') + "\n" + prose, {"AAAA"});
}

TEST_CASE("the time is linear in texts that are made to be slow")
{
    const Environment environment{{"A_TOKEN", std::string(200, 'a') + "b"}};
    // In CPU time, which the load of the machine does not change.
    const auto cost = [&](const std::string& unit, std::size_t size) {
        std::string text;
        while (text.size() < size) text += unit;
        const auto start = std::clock();
        CHECK_FALSE(redact(text, environment).empty());
        return std::clock() - start;
    };
    for (const std::string unit : {"-----BEGIN RSA PRIVATE KEY-----\n",
                                   "-----BEGIN RSA PRIVATE KEY-----",
                                   "a",
                                   "-",
                                   "\\",
                                   "token: \"",
                                   "token: \\\"",
                                   "password=",
                                   "secret=(",
                                   "authorization:",
                                   "Authorization: Bearer ",
                                   "://a:",
                                   "--token ",
                                   "eyJ",
                                   "a.",
                                   ",",
                                   " -ua:",
                                   "curl -ua:$",
                                   " -px",
                                   "mysql -p",
                                   "machine a ",
                                   "login a password ",
                                   "\n-u a:"}) {
        CAPTURE(unit);
        for (const std::size_t size : {6'000, 20'000}) {  // on one piece of a line, and on several
            const auto small = cost(unit, size);
            const auto large = cost(unit, 10 * size);
            CHECK(large < 40 * small + CLOCKS_PER_SEC / 10);  // quadratic: 100 times
        }
    }
}

TEST_CASE("a long secret goes to its end")
{
    const auto secret = noise(5000);
    for (const std::string before : {"token=", "token: \"", "--token ", "--token '",
                                     "Authorization: ", "curl -u me:", "mysql -p", "https://me:"}) {
        CAPTURE(before);
        const std::string after = before.ends_with('"')         ? "\" end"
                                  : before.ends_with('\'')      ? "' end"
                                  : before.starts_with("https") ? "@host end"
                                                                : " end";
        CHECK(redact(before + secret + after) == before + marker + after);
    }
}

TEST_CASE("random environment secrets go in all their forms, at every chunk border")
{
    std::mt19937 random(20260120);
    for (int i = 0; i < 100; ++i) {
        const auto secret = random_secret(random);
        CAPTURE(secret);
        const auto upper = percent_encoded(secret, "0123456789ABCDEF");
        const auto lower = percent_encoded(secret, "0123456789abcdef");
        const auto encoded = base64(secret);
        const auto text = "one " + secret + " two " + encoded + "\nthree " + upper + " " + lower +
                          secret + secret + " end";
        check_everywhere({{"SOME_TOKEN", secret}}, text, {secret, encoded, upper, lower});
    }
}

TEST_CASE("only what surrounds an environment secret is left")
{
    const Environment environment{{"A_TOKEN", "plain-one-1"}, {"B_PASSWORD", "a\"b/c\\d e\n+f?>"}};
    const std::string b = environment[1].second;
    CHECK(redact("<plain-one-1>", environment) == "<" + marker + ">");
    CHECK(redact("<" + b + ">", environment) == "<" + marker + ">");
    CHECK(redact(R"(<a\"b/c\\d e\n+f?>>)", environment) == "<" + marker + ">");
    CHECK(redact(R"(<a\"b\/c\\d e\n+f?>>)", environment) == "<" + marker + ">");
    CHECK(redact("<" + base64(b) + ">", environment) == "<" + marker + ">");
    CHECK(redact("<a%22b%2Fc%5Cd%20e%0A%2Bf%3F%3E>", environment) == "<" + marker + ">");
    CHECK(redact("<a%22b%2fc%5cd+e%0a%2bf%3f%3e>", environment) == "<" + marker + ">");

    for (const std::string user : {"", "u", "us", "use", "user"}) {
        for (const std::string more : {"", "x", "xy", "xyz"}) {
            const auto whole = redact(base64(user + "plain-one-1" + more), environment);
            CAPTURE(whole);
            CHECK(whole.find(marker) != whole.npos);
            CHECK(whole.size() <= marker.size() + 12);
        }
    }
}

TEST_CASE("overlapping secrets become one marker")
{
    const Environment environment{{"A_KEY", "abcdefghij"}, {"B_KEY", "fghijklmno"}};
    CHECK(redact("<abcdefghijklmno>", environment) == "<" + marker + ">");
    CHECK(redact("<abcdefghijabcdefghij>", environment) == "<" + marker + ">");
    check_everywhere(environment, "<abcdefghijklmnoabcdefghijklabcdefghij>", {"abcdefghij"});
}

TEST_CASE("only names of secrets count, and only from eight characters on")
{
    const Environment environment{
        {"A_TOKEN", "seven77"}, {"PATH", "/usr/local/bin"}, {"TOKENS", "some-words-here"}};
    CHECK(redact("seven77 /usr/local/bin some-words-here", environment) ==
          "seven77 /usr/local/bin some-words-here");
}

TEST_CASE("secrets that look like the marker do not redact it again")
{
    for (const std::string secret : {"REDACTED", "***REDACTED***", "********", "***abcdefgh",
                                     "abcdefgh***", "D***abcdefgh***RE"}) {
        check_everywhere({{"A_TOKEN", secret}, {"B_TOKEN", "12345678"}},
                         "12345678abcdefgh12345678 ***REDACTED***abcdefgh***REDACTED12345678", {});
    }
}

TEST_CASE("a secret in many lines is redacted as a whole")
{
    const std::string secret = "line one\nline two of it\nline three";
    check_everywhere({{"A_SECRET", secret}}, "a\n" + secret + "\nb", {"line two"});
    CHECK(redact("a\n" + secret + "\nb", {{"A_SECRET", secret}}) == "a\n" + marker + "\nb");
}

TEST_CASE("a line is passed on as soon as it is complete")
{
    Redactor::Stream stream(std::make_shared<const Redactor>(Environment{{"A_KEY", "abcdefgh"}}));
    CHECK(stream.feed("- first\nsec") == "- first\n");
    CHECK(stream.feed("ond\n") == "second\n");
    CHECK(stream.finish().empty());
    CHECK(stream.feed("again").empty());
    CHECK(stream.finish() == "again");
}

TEST_CASE("text without a line end flows out after 64 KiB, and its secrets are found")
{
    const auto redactor = std::make_shared<const Redactor>(Environment{});
    const auto token = "ghp_" + noise(36);
    std::string text;
    while (text.size() < 300'000) text += "some words " + token + " and password=hunter22 more; ";
    text += "password=" + std::string(60'000, 'q') + " end";

    Redactor::Stream stream(redactor);
    std::size_t fed = 0;
    std::string out;
    for (std::size_t at = 0; at < text.size(); at += 1000) {
        const auto part = stream.feed(std::string_view(text).substr(at, 1000));
        out += part;
    }
    fed = out.size();
    out += stream.finish();
    CHECK(out.size() - fed <= 65536);
    CHECK(out.find("ghp_") == out.npos);
    CHECK(out.find("hunter22") == out.npos);
    CHECK(out.find("qq") == out.npos);
    CHECK(out == redactor->redact(text));
    CHECK(out == in_chunks(redactor, text, 7));
    CHECK(out == in_chunks(redactor, text + "\n", 65536).substr(0, out.size()));
}

TEST_CASE("any bytes come through")
{
    std::string text;
    for (int c = 0; c < 256; ++c) text += static_cast<char>(c);
    CHECK(redact(text) == text);
    CHECK(redact("").empty());
}

TEST_CASE("documentation is left alone: at most one line in 10,000 is altered")
{
    namespace fs = std::filesystem;
    constexpr std::size_t max_bytes = 40'000'000;
    const Redactor redactor(Environment{});
    std::size_t bytes = 0;
    std::ptrdiff_t lines = 0;
    std::size_t altered = 0;
    std::error_code ignored;
    fs::recursive_directory_iterator files("/usr/share/doc", ignored);
    for (; files != fs::end(files) && bytes < max_bytes; files.increment(ignored)) {
        if (!files->is_regular_file(ignored) || files->path().extension() == ".gz") continue;
        std::ifstream in(files->path(), std::ios::binary);
        for (std::string line; std::getline(in, line) && line.find('\0') == line.npos; ++lines) {
            bytes += line.size();
            altered += redactor.finds_secret(line) ? 1 : 0;
        }
    }
    if (lines < 10'000) {
        MESSAGE("skipped: there is too little text below /usr/share/doc");
        return;
    }
    CHECK(altered * 10'000 <= static_cast<std::size_t>(lines));
    MESSAGE(altered << " of " << lines << " lines altered");
}
