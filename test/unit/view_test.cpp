#include "view/entries.hpp"
#include "view/read_check.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

using namespace autoexec;
using namespace autoexec::view;
using namespace std::chrono_literals;

namespace {

struct Item {
    std::string name;
    int value = 0;

    [[nodiscard]] const std::string& key() const { return name; }
    bool operator==(const Item&) const = default;
};

EntryList<Item> list_of(const std::vector<Item>& items)
{
    EntryList<Item> list;
    for (const auto& item : items) list.push_back(std::make_shared<const Item>(item));
    return list;
}

std::vector<Item> since(const Entries<Item>& entries, std::uint64_t sequence)
{
    std::vector<Item> found;
    entries.for_each_since(sequence, [&](const Item& item) { found.push_back(item); });
    return found;
}

FileStamp stamp_of(std::int64_t modified)
{
    FileStamp stamp;
    stamp.modified_ns = modified;
    return stamp;
}

const ReadCheck::clock::time_point start{};

}  // namespace

TEST_SUITE_BEGIN("view");

TEST_CASE("a file is read again until a tick has passed since its stamp was first seen")
{
    ReadCheck check;
    CHECK(check.must_read(stamp_of(1), start));
    CHECK(check.must_read(stamp_of(1), start));
    CHECK(check.must_read(stamp_of(1), start + ReadCheck::settling_time - 1ns));
    CHECK(check.must_read(stamp_of(1), start + ReadCheck::settling_time));
    CHECK_FALSE(check.must_read(stamp_of(1), start + ReadCheck::settling_time));
    CHECK_FALSE(check.must_read(stamp_of(1), start + 1h));
    CHECK(check.must_read(stamp_of(2), start + 1h));
    CHECK(check.must_read(stamp_of(2), start + 2h));
    CHECK_FALSE(check.must_read(stamp_of(2), start + 2h));
}

TEST_CASE("a file that is missing is looked for once a tick has passed")
{
    ReadCheck check;
    CHECK(check.must_read({}, start));
    CHECK(check.must_read({}, start + 1s));
    CHECK_FALSE(check.must_read({}, start + 2s));
    CHECK(check.must_read(stamp_of(1), start + 2s));
}

TEST_CASE("changes are those after a number")
{
    Entries<Item> entries;
    CHECK(entries.update(list_of({{"b", 1}, {"a", 1}}), 1));
    CHECK_FALSE(entries.update(list_of({{"a", 1}, {"b", 1}}), 2));
    CHECK(entries.update(list_of({{"a", 1}, {"b", 2}, {"c", 1}}), 2));
    CHECK(since(entries, 0) == std::vector<Item>{{"a", 1}, {"b", 2}, {"c", 1}});
    CHECK(since(entries, 1) == std::vector<Item>{{"b", 2}, {"c", 1}});
    CHECK(since(entries, 2).empty());
    CHECK(entries.gone_since(0).empty());
}

TEST_CASE("an entry that has gone is known as gone until it comes back")
{
    Entries<Item> entries;
    entries.update(list_of({{"a", 1}, {"b", 1}}), 1);
    CHECK(entries.update(list_of({{"b", 1}}), 2));
    CHECK(entries.gone_since(1) == std::vector<std::string>{"a"});
    CHECK(entries.gone_since(2).empty());
    CHECK(entries.update(list_of({{"a", 1}}), 3));
    CHECK(entries.gone_since(1) == std::vector<std::string>{"b"});
    CHECK(since(entries, 2) == std::vector<Item>{{"a", 1}});
}

TEST_CASE("of entries with one key, the first counts")
{
    Entries<Item> entries;
    CHECK(entries.update(list_of({{"a", 1}, {"a", 2}, {"b", 1}, {"a", 3}}), 1));
    CHECK(since(entries, 0) == std::vector<Item>{{"a", 1}, {"b", 1}});
    CHECK_FALSE(entries.update(list_of({{"a", 1}, {"b", 1}, {"a", 4}}), 2));
    CHECK(entries.update(list_of({{"a", 2}, {"a", 1}, {"b", 1}}), 2));
    CHECK(since(entries, 1) == std::vector<Item>{{"a", 2}});
}

TEST_CASE("very many entries that have gone are forgotten, the oldest first")
{
    Entries<Item> entries;
    const auto most = static_cast<int>(Entries<Item>::max_gone);
    for (int i = 0; i <= most; ++i)
        entries.update(list_of({{std::to_string(i), 0}}), static_cast<std::uint64_t>(i + 1));
    CHECK(entries.knows(0));
    CHECK(entries.gone_since(0).size() == Entries<Item>::max_gone);
    entries.update({}, static_cast<std::uint64_t>(most + 2));
    CHECK_FALSE(entries.knows(1));
    CHECK(entries.knows(2));
}

TEST_SUITE_END();
