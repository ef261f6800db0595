#pragma once

#include "cli/top/frame.hpp"
#include "text/text.hpp"

#include <compare>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::cli {

/// The end of a log, of which a part is visible: long lines are wrapped, and new ones scroll it
/// while its end is visible. Any bytes can be added; the lines have no control characters.
class LogText {
public:
    static constexpr std::size_t usual_max_bytes = 4 * 1024 * 1024;
    /// Longer lines are divided.
    static constexpr std::size_t max_line = 4096;

    explicit LogText(std::size_t max_bytes = usual_max_bytes) : max_bytes_(max_bytes) {}

    /// Drops the oldest lines if there are more than `max_bytes`.
    void append(std::string_view bytes);
    void clear();
    [[nodiscard]] bool is_empty() const noexcept { return lines_.empty() && last_.empty(); }

    /// Whether the beginning is missing.
    [[nodiscard]] bool is_cut() const noexcept { return is_cut_ || first_line_ > 0; }
    void set_cut() noexcept { is_cut_ = true; }

    /// To be called before the functions below.
    void set_size(std::size_t columns, std::size_t rows);
    [[nodiscard]] std::vector<Line> visible() const;

    void scroll(long rows);
    void to_begin() { top_ = Place{first_line_, 0}; }
    void to_end() { top_.reset(); }
    [[nodiscard]] bool follows() const noexcept { return !top_; }

    /// Makes the next line with this text visible: after or before the last one that was found,
    /// then from the other end. False: there is none. Upper and lower case are the same if the
    /// text has no upper case.
    bool find(std::string_view text, bool to_the_end);

private:
    struct Place {
        std::uint64_t line = 0;  ///< Of all that were ever added.
        std::size_t row = 0;     ///< Of a line that is wrapped.

        auto operator<=>(const Place&) const = default;  // NOLINT(modernize-use-nullptr): its 0
    };

    void add_line(std::string_view printable);
    [[nodiscard]] std::uint64_t end_line() const noexcept;
    [[nodiscard]] const std::string& line(std::uint64_t number) const;
    [[nodiscard]] std::vector<std::string_view> rows_of(std::uint64_t number) const;
    [[nodiscard]] Place moved(Place from, long rows) const;
    /// The first visible one while the end is visible.
    [[nodiscard]] Place last_top() const;
    void show(std::uint64_t number, std::size_t at);

    std::size_t max_bytes_;
    std::size_t bytes_ = 0;
    text::PrintableStream stream_;
    std::deque<std::string> lines_;
    std::uint64_t first_line_ = 0;
    bool is_cut_ = false;
    std::string unfinished_;  ///< Printable.
    std::string last_;        ///< The same as a line.

    std::size_t columns_ = 80;
    std::size_t rows_ = 24;
    std::optional<Place> top_;  ///< Of what is visible. Absent: the end is.
    std::optional<std::uint64_t> found_;
};

/// Where `text` begins in `line`; `npos`: nowhere. As `LogText::find`.
std::size_t find_text(std::string_view line, std::string_view text);

}  // namespace autoexec::cli
