#include "cli/top/keys.hpp"

#include "cli/top/line_editor.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace autoexec::cli;

namespace {

std::vector<KeyPress> decoded(std::string_view bytes)
{
    KeyDecoder decoder;
    return decoder.feed(bytes);
}

Key only_key(std::string_view bytes)
{
    const auto keys = decoded(bytes);
    CAPTURE(bytes);
    REQUIRE(keys.size() == 1);
    return keys[0].key;
}

std::vector<KeyPress> characters(std::string_view text)
{
    std::vector<KeyPress> keys;
    for (const char c : text) keys.push_back({Key::character, std::string(1, c)});
    return keys;
}

}  // namespace

TEST_SUITE_BEGIN("keys");

TEST_CASE("the sequences of different terminals are the same keys")
{
    for (const auto* const up : {"\x1b[A", "\x1bOA", "\x1b[1;5A"}) CHECK(only_key(up) == Key::up);
    for (const auto* const home : {"\x1b[H", "\x1bOH", "\x1b[1~", "\x1b[7~", "\x01"})
        CHECK(only_key(home) == Key::home);
    CHECK(only_key("\x1b[3~") == Key::erase);
    CHECK(only_key("\x1b[5~") == Key::page_up);
    CHECK(only_key("\x1b[6;2~") == Key::page_down);
    CHECK(only_key("\r") == Key::enter);
    CHECK(only_key("\n") == Key::enter);
    CHECK(only_key("\x7f") == Key::backspace);
    CHECK(only_key("\x0c") == Key::redraw);
    CHECK(decoded("ö") == std::vector<KeyPress>{{Key::character, "ö"}});
}

TEST_CASE("what a terminal sends is decoded in the same way, however it is divided")
{
    const std::string bytes = "a\x1b[A\x1b[200~x\ny\x1b[201~ö\x1b[15~🙂\x1bOBq\x1b[1;5C";
    const auto whole = decoded(bytes);
    REQUIRE(whole.size() == 9);
    CHECK(whole[2] == KeyPress{Key::paste, "x y"});
    for (std::size_t i = 0; i <= bytes.size(); ++i) {
        for (std::size_t j = i; j <= bytes.size(); ++j) {
            KeyDecoder decoder;
            std::vector<KeyPress> all;
            for (const auto& part : {bytes.substr(0, i), bytes.substr(i, j - i), bytes.substr(j)})
                for (auto& key : decoder.feed(part)) all.push_back(std::move(key));
            CHECK(all == whole);
            CHECK_FALSE(decoder.is_incomplete());
        }
    }
}

TEST_CASE("Escape is a key once nothing has followed")
{
    KeyDecoder decoder;
    CHECK(decoder.feed("\x1b").empty());
    CHECK(decoder.is_incomplete());
    CHECK(decoder.finish() == std::vector<KeyPress>{{Key::escape}});
    CHECK_FALSE(decoder.is_incomplete());
    CHECK(decoder.feed("q") == characters("q"));

    CHECK(decoder.feed("\x1b[1;").empty());
    CHECK(decoder.finish().empty());
    CHECK(decoder.feed("q") == characters("q"));
    CHECK(decoder.feed("\x1b\x1b") == std::vector<KeyPress>{{Key::escape}});
}

TEST_CASE("a key with Alt, and what is no UTF-8 or no known sequence, is none of the known keys")
{
    for (const auto* const bytes :
         {"\x1bq", "\xff", "\xc3(", "\x1b[99~", "\x1b[?1z", "\x02", "\u0085"})
        CHECK(decoded(bytes).at(0).key == Key::other);
    // It ends where it is no longer one.
    CHECK(decoded("\x1b[1\x1b[A").back().key == Key::up);
    CHECK(decoded("\x1b[" + std::string(1000, '1') + "Aq").back() == characters("q")[0]);
}

TEST_CASE("pasted text is one key, whatever it contains")
{
    const auto keys = decoded("\x1b[200~c\ry\x1b[2J\x03\u202Eq\x1b[201~j");
    REQUIRE(keys.size() == 2);
    CHECK(keys[0].key == Key::paste);
    CHECK(keys[0].text == "c y[2J\u202Eq");
    CHECK(keys[1] == characters("j")[0]);
}

TEST_CASE("pasted text is kept up to a limit")
{
    const auto keys = decoded("\x1b[200~" + std::string(1'000'000, 'a') + "\x1b[201~");
    REQUIRE(keys.size() == 1);
    CHECK(keys[0].text.size() == 64 * 1024);
}

TEST_CASE("a line can be edited")
{
    LineEditor editor;
    const auto press = [&](std::string_view bytes) {
        KeyDecoder decoder;
        for (const auto& key : decoder.feed(bytes)) CHECK(editor.press(key));
    };
    press("aöc");
    CHECK(editor.text() == "aöc");
    press("\x1b[D\x1b[D\x7f");  // left, left, backspace
    CHECK(editor.text() == "öc");
    press("\x1b[Cx");
    CHECK(editor.text() == "öxc");
    press("\x1b[3~");
    CHECK(editor.text() == "öx");
    press("\x01<\x05>");
    CHECK(editor.text() == "<öx>");
    press("\x1b[200~two\nlines\x1b[201~");
    CHECK(editor.text() == "<öx>two lines");
    press("\x15");
    CHECK(editor.text().empty());
    press("\x7f\x1b[3~\x1b[D\x1b[C");
    CHECK(editor.text().empty());
    CHECK_FALSE(editor.press({Key::enter}));
}

TEST_CASE("the visible part of an edited line has the cursor in it")
{
    LineEditor editor("0123456789");
    CHECK(editor.visible(20) == std::pair<std::string, std::size_t>("0123456789", 10));
    CHECK(editor.visible(11).second == 10);
    CHECK(editor.visible(8) == std::pair<std::string, std::size_t>("…456789", 7));
    editor.press({Key::home});
    CHECK(editor.visible(8) == std::pair<std::string, std::size_t>("0123456789", 0));
    CHECK(LineEditor("漢字漢字").visible(5).second <= 5);
    CHECK(editor.visible(0).first.empty());
}

TEST_SUITE_END();
