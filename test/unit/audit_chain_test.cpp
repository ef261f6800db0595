#include "records/audit_chain.hpp"
#include "autoexec/audit_logger.hpp"
#include "records/audit_verification.hpp"
#include "records/follow_log.hpp"
#include "support/sweep.hpp"
#include "support/temporary_folder.hpp"
#include "support/virtual_clock.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <optional>
#include <random>
#include <string>
#include <vector>

using namespace autoexec;
using namespace std::chrono_literals;

namespace {

const std::filesystem::path audit_folder = ".tapps-agents/audit";
const auto chained_log = audit_folder / "execution_audit.log";

using Lines = std::vector<std::string>;
using Kinds = std::vector<std::string>;

struct ChainFixture {
    test::TemporaryFolder project;
    AuditOptions options;

    AuditLogger make(boost::asio::io_context& ctx)
    {
        options.project_root = project.path();
        return AuditLogger(ctx.get_executor(), options);
    }

    void write_events(int count, const std::string& type = "event")
    {
        boost::asio::io_context ctx;
        auto logger = make(ctx);
        for (int i = 0; i < count; ++i) {
            AuditRecord record(type);
            record.details["number"] = i;
            logger.log_event(std::move(record));
        }
        std::optional<error_code> ended;
        boost::asio::co_spawn(ctx, logger.stop(),
                              [&](std::exception_ptr, error_code ec) { ended = ec; });
        ctx.run();
        CHECK(ended == error_code());
    }

    AuditVerification verify()
    {
        boost::asio::io_context ctx;
        return make(ctx).verify();
    }

    Kinds kinds()
    {
        Kinds found;
        for (const auto& problem : verify().problems) found.emplace_back(to_string(problem.kind));
        return found;
    }

    Lines lines() { return project.lines(chained_log); }
    void replace(const Lines& lines)
    {
        std::string text;
        for (const auto& line : lines) text += line + '\n';
        project.write(chained_log, text);
    }
};

}  // namespace

TEST_SUITE_BEGIN("audit_chain");

TEST_CASE("hashes are SHA-256, and with a key HMAC-SHA-256")
{
    const records::AuditChain plain;
    for (int i = 0; i < 2; ++i)  // the second one with what the first has made
        CHECK(plain.hash("abc") ==
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(plain.hash("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    // RFC 4231, test case 2
    CHECK(records::AuditChain("Jefe").hash("what do ya want for nothing?") ==
          "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST_CASE("a chain is extended by as many lines as make the limit, and then by the rest")
{
    for (const auto* const key : {"", "0123456789abcdef"}) {
        const records::AuditChain chain(key);
        const std::string text = "{\"a\": 1}\n{\"a\": 2}\n{}\n";
        std::string_view lines = text;
        records::ChainLink last;
        auto chained = chain.extend(lines, 1, last);
        CHECK(last.seq == 1);
        CHECK(last.prev == records::first_prev());
        CHECK(lines == std::string_view(text).substr(9));
        const auto first = last.hash;
        chained += chain.extend(lines, 10'000, last);
        CHECK(lines.empty());
        CHECK(last.seq == 3);

        Lines written;
        for (std::string_view rest = chained; !rest.empty();) {
            written.emplace_back(rest.substr(0, rest.find('\n')));
            rest.remove_prefix(written.back().size() + 1);
        }
        REQUIRE(written.size() == 3);
        CHECK(written[1].starts_with("{\"a\": 2, \""));
        for (std::size_t i = 0; i < written.size(); ++i) {
            const auto link = records::link_of(written[i]).value();
            CHECK(link.seq == i + 1);
            CHECK(link.key == chain.key_name());
            CHECK(chain.is_right(written[i], link));
        }
        CHECK(records::link_of(written[1]).value().prev == first);
        CHECK(records::link_of(written[2]).value().hash == last.hash);
        CHECK(records::link_of(written[2]).value().prev == last.prev);
    }
}

TEST_CASE_FIXTURE(ChainFixture, "an unchanged log is intact, across rotations and writers")
{
    options.max_bytes = 2000;
    options.max_backups = 0;
    for (int i = 0; i < 5; ++i) write_events(7);
    const auto found = verify();
    CHECK(found.is_intact());
    CHECK(found.problems.empty());
    CHECK(found.chained_lines == 35);
    CHECK(found.first_seq == 1);
    CHECK(found.last_seq == 35);
    CHECK(std::filesystem::exists(project.path() / audit_folder / "execution_audit.log.6"));
}

TEST_CASE("a rotation that ends after any of its renames loses no line")
{
    for (int renames = 0; renames <= 4; ++renames) {
        CAPTURE(renames);
        ChainFixture f;
        f.options.max_bytes = 2000;
        f.options.max_backups = 0;
        for (int i = 0; i < 3; ++i) f.write_events(7);
        const auto log = (f.project.path() / chained_log).string();
        const auto name = [&log](int number) {
            return number == 0 ? log : log + "." + std::to_string(number);
        };
        int last = 0;
        while (std::filesystem::exists(name(last + 1))) ++last;
        REQUIRE(last >= 3);
        for (int i = last; i > last - renames && i >= 0; --i)
            std::filesystem::rename(name(i), name(i + 1));
        f.write_events(7);
        const auto found = f.verify();
        CHECK(found.problems.empty());
        CHECK(found.first_seq == 1);
        CHECK(found.last_seq == 28);
    }
}

TEST_CASE_FIXTURE(ChainFixture, "writers that take turns share one chain")
{
    boost::asio::io_context ctx;
    auto one = make(ctx);
    auto other = make(ctx);
    for (int i = 0; i < 20; ++i) {
        (i % 3 == 0 ? one : other).log_event(AuditRecord("event"));
        ctx.restart();
        ctx.run();
    }
    const auto found = one.verify();
    CHECK(found.problems.empty());
    CHECK(found.last_seq == 20);
}

TEST_CASE_FIXTURE(ChainFixture, "each change is named, with the line")
{
    write_events(10);
    auto changed = lines();
    REQUIRE(changed.size() == 10);
    const auto expect = [&](const Kinds& kinds_expected, std::uint64_t line) {
        replace(changed);
        CHECK(kinds() == kinds_expected);
        const auto found = verify();
        REQUIRE_FALSE(found.problems.empty());
        CHECK(found.problems[0].line == line);
        CHECK_FALSE(found.is_intact());
    };
    SUBCASE("one flipped bit")
    {
        changed[4][60] ^= 1;
        expect({"edited"}, 5);
    }
    SUBCASE("a line with a damaged link")
    {
        changed[4].pop_back();
        expect({"edited"}, 5);
    }
    SUBCASE("a removed line")
    {
        changed.erase(changed.begin() + 4);
        expect({"removed"}, 5);
    }
    SUBCASE("several removed lines")
    {
        changed.erase(changed.begin() + 4, changed.begin() + 7);
        expect({"removed"}, 5);
        CHECK(verify().problems[0].sentence == "3 lines before it are missing.");
    }
    SUBCASE("a repeated line")
    {
        changed.insert(changed.begin() + 6, changed[2]);
        expect({"misplaced", "removed"}, 7);
    }
    SUBCASE("an added line")
    {
        auto added = changed[4];
        changed.insert(changed.begin() + 5, added.substr(0, added.find(", \"seq\"")) + "}");
        expect({"foreign"}, 6);
    }
    SUBCASE("a line that was hashed again")
    {
        auto link = records::link_of(changed[4]).value();
        ChainFixture forged;
        records::ChainLink last;
        last.seq = link.seq - 1;
        last.hash = link.prev;
        const auto line = changed[4].substr(0, changed[4].find("\"details\"")) + "\"x\": 1}\n";
        std::string_view rest = line;
        const auto text = records::AuditChain().extend(rest, 1, last);
        CHECK(rest.empty());
        changed[4] = text.substr(0, text.size() - 1);
        expect({"edited"}, 5);
    }
}

TEST_CASE_FIXTURE(ChainFixture, "a torn line is named, and does not make the log a changed one")
{
    write_events(3);
    const auto text = project.read(chained_log);
    project.write(chained_log, text + text.substr(0, 100));
    write_events(3);
    CHECK(kinds() == Kinds{"torn"});
    CHECK(verify().is_intact());
    CHECK(verify().last_seq == 6);
}

TEST_CASE_FIXTURE(ChainFixture, "lines of an earlier version are not in the chain")
{
    write_events(2);
    auto old = lines();
    for (auto& line : old) line = line.substr(0, line.find(", \"seq\"")) + "}";
    replace(old);
    write_events(2);
    const auto found = verify();
    CHECK(found.problems.empty());
    CHECK(found.unchained_lines == 2);
    CHECK(found.chained_lines == 2);
    CHECK(found.first_seq == 1);
}

TEST_CASE_FIXTURE(ChainFixture, "a chain shows that the oldest lines were rotated away")
{
    options.max_bytes = 2000;
    options.max_backups = 1;
    write_events(30);
    const auto found = verify();
    CHECK(found.problems.empty());
    CHECK(found.first_seq > 1);
    CHECK(found.last_seq == 30);
}

TEST_CASE_FIXTURE(ChainFixture, "without the key nobody computes the hashes again")
{
    const auto key = project.path() / "key";
    project.write("key", "0123456789abcdef\n");
    REQUIRE(::chmod(key.c_str(), 0600) == 0);
    options.key_file = key;
    write_events(3);
    CHECK(verify().problems.empty());
    options.key_file.clear();
    CHECK(kinds() == Kinds{"other_key", "other_key", "other_key"});
    write_events(1);  // continues the chain, without the key
    options.key_file = key;
    CHECK(kinds() == Kinds{"other_key"});
    project.write("other", "fedcba9876543210\n");
    REQUIRE(::chmod((project.path() / "other").c_str(), 0600) == 0);
    options.key_file = project.path() / "other";
    CHECK(kinds().size() == 4);

    // Whoever cannot read the key cannot pass lines off as those of an earlier version either.
    auto stripped = lines();
    for (auto& line : stripped) line = line.substr(0, line.find(", \"key\"")) + "}";
    stripped.pop_back();
    replace(stripped);
    options.key_file = key;
    CHECK(kinds() == Kinds{"foreign", "foreign", "foreign"});
    CHECK_FALSE(verify().is_intact());
}

TEST_CASE_FIXTURE(ChainFixture, "any number of lines of an earlier version is accepted")
{
    write_events(1);
    const auto line = lines().at(0);
    const auto old = line.substr(0, line.find(", \"seq\"")) + "}\n";
    std::string text;
    for (int i = 0; i < 100'010; ++i) text += old;
    project.write(chained_log, text);
    CHECK(verify().is_intact());
    write_events(1);
    CHECK(verify().is_intact());
    CHECK(verify().unchained_lines == 100'010);
}

TEST_CASE_FIXTURE(ChainFixture, "a text that no writer of events begins so is foreign, not torn")
{
    write_events(2);
    auto changed = lines();
    changed.insert(changed.begin() + 1, "a note");
    replace(changed);
    CHECK(kinds() == Kinds{"foreign"});
}

TEST_CASE_FIXTURE(ChainFixture, "a file that looks like a late backup costs one look")
{
    write_events(2);
    project.write(audit_folder / "execution_audit.log.1000000", "");
    project.write(audit_folder / "execution_audit.log.99999999999", "");
    write_events(2);
    CHECK(verify().problems.empty());
    CHECK(verify().last_seq == 4);
}

TEST_CASE_FIXTURE(ChainFixture, "a key that is short, open to others or missing is refused")
{
    const auto key = project.path() / "key";
    options.key_file = key;
    boost::asio::io_context ctx;
    CHECK_THROWS_WITH(make(ctx), doctest::Contains("cannot be read"));
    project.write("key", "short\n");
    REQUIRE(::chmod(key.c_str(), 0600) == 0);
    CHECK_THROWS_WITH(make(ctx), doctest::Contains("has fewer than 16 bytes"));
    project.write("key", "0123456789abcdef\n");
    REQUIRE(::chmod(key.c_str(), 0640) == 0);
    CHECK_THROWS_WITH(make(ctx), doctest::Contains("can be read by others"));
    options.key_file = project.path();
    CHECK_THROWS_WITH(make(ctx), doctest::Contains("is not a regular file"));
}

TEST_CASE_FIXTURE(ChainFixture, "what an application calls seq, prev or hash is left out")
{
    boost::asio::io_context ctx;
    auto logger = make(ctx);
    AuditRecord record("event");
    record.more = {{"hash", "x"}, {"seq", 7}, {"kept", true}};
    logger.log_event(std::move(record));
    ctx.run();
    CHECK(logger.verify().problems.empty());
    const auto events = logger.query_events();
    REQUIRE(events.size() == 1);
    CHECK(events[0].at("seq") == 1);
    CHECK(events[0].at("kept") == true);
}

TEST_CASE_FIXTURE(ChainFixture, "every random edit, removal, insertion and swap is found" *
                                    doctest::test_suite("sweep"))
{
    write_events(12);
    const auto original = lines();
    for (unsigned round = 0; round < test::sweep_rounds(1'000, 10'000); ++round) {
        const auto seed = test::sweep_seed() + round;
        CAPTURE(seed);
        std::mt19937 random(seed);
        const auto below = [&random](std::size_t n) { return random() % n; };
        auto changed = original;
        // The last line: see the documentation of `verify`.
        const auto at = below(changed.size() - 1);
        switch (below(4)) {
            case 0: {
                auto& line = changed[at];
                auto& letter = line[below(line.size())];
                letter = static_cast<char>(letter ^ (1 << below(7)));
                // That makes two lines, or an empty one, of which the hash shows one.
                break;
            }
            case 1:
                changed.erase(changed.begin() + static_cast<long>(at));
                break;
            case 2:
                changed.insert(changed.begin() + static_cast<long>(at),
                               original[below(original.size())]);
                break;
            default:
                std::swap(changed[at], changed[at + 1]);
        }
        // A removal of the first line is one of the oldest lines.
        const bool is_cut =
            std::equal(changed.begin(), changed.end(), original.begin() + 1, original.end());
        replace(changed);
        const auto found = verify();
        CHECK((found.is_intact() == (changed == original) || is_cut));
        if (is_cut) CHECK(found.first_seq == 2);
    }
}

TEST_CASE_FIXTURE(ChainFixture, "a follower reads each line once, across a rotation")
{
    options.max_bytes = 2000;
    records::LogFollower follower(records::Folder::of({}, project.path(), "audit"),
                                  "execution_audit.log");
    Lines seen;
    const auto read = [&] {
        follower.read([&seen](std::string_view line) { seen.emplace_back(line); });
    };
    Lines expected;
    for (int i = 0; i < 10; ++i) {
        write_events(3);
        read();
        CHECK(seen.size() == static_cast<std::size_t>(3 * (i + 1)));
    }
    for (std::size_t i = 0; i < seen.size(); ++i)
        CHECK(records::link_of(seen[i]).value().seq == i + 1);
}
