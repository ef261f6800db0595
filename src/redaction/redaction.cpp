#include "autoexec/redaction.hpp"

#include "redaction/stages.hpp"

#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace autoexec::inline v1 {
namespace {

using Environment = std::vector<std::pair<std::string, std::string>>;

using redaction::find_secret;
using redaction::max_secret_length;
using redaction::redaction_marker;

Environment own_environment()
{
    Environment variables;
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
        const std::string_view text(*entry);
        const auto sign = text.find('=');
        if (sign != text.npos) variables.emplace_back(text.substr(0, sign), text.substr(sign + 1));
    }
    return variables;
}

// A redacted line may match again, so repeat until nothing matches: redacting redacted text changes
// nothing.
std::string redact_line(std::string_view line)
{
    constexpr int max_passes = 8;
    std::string text(line);
    for (int pass = 0; pass < max_passes; ++pass) {
        std::string next;
        std::size_t at = 0;
        while (const auto found = find_secret(text, at)) {
            next.append(text, at, found->begin - at).append(redaction_marker);
            at = found->end;
        }
        if (at == 0) break;
        next.append(text, at);
        text = std::move(next);
    }
    return text;
}

void redact_lines(std::string_view text, std::string& out)
{
    std::size_t at = 0;
    while (const auto found = find_secret(text, at)) {
        const auto begin = text.rfind('\n', found->begin) + 1;  // 0 when there is none
        const auto end = std::min(text.find('\n', found->end), text.size());
        out += text.substr(at, begin - at);
        out += redact_line(text.substr(begin, end - begin));
        at = end;
    }
    out += text.substr(at);
}

// Redacts the first part of a line that is too long to wait for its end. Returns the used length: a
// secret that reaches the end of the window is left for the next one.
std::size_t redact_window(std::string_view window, std::string& out)
{
    const auto half = window.size() / 2;
    std::size_t at = 0;
    while (const auto found = find_secret(window, at)) {
        if (found->head >= half) break;
        if (found->end == window.size() && found->head > 0) {
            out += window.substr(at, found->head - at);
            return found->head;
        }
        out.append(window.substr(at, found->begin - at)).append(redaction_marker);
        at = found->end;
    }
    const auto used = std::max(at, half);
    out += window.substr(at, used - at);
    return used;
}

/// Applies the patterns to text in chunks. The units (lines, and windows of very long ones) depend
/// only on the text.
class Lines {
public:
    void feed(std::string_view chunk, std::string& out)
    {
        held_ += chunk;
        std::size_t done = 0;
        std::size_t line = 0;
        const std::string_view text = held_;
        for (;;) {
            const auto near = text.substr(0, line + max_secret_length + 1);
            const auto newline = near.find('\n', std::max(line, searched_));
            const auto length = std::min(newline, text.size()) - line;
            if (length >= max_secret_length) {
                redact_lines(text.substr(done, line - done), out);
                done = line += redact_window(text.substr(line, max_secret_length), out);
            } else if (newline == text.npos) {
                break;
            } else {
                line = newline + 1;
            }
        }
        if (line > done) redact_lines(text.substr(done, line - done), out);
        searched_ = held_.size() - line;
        held_.erase(0, line);
    }

    void finish(std::string& out)
    {
        redact_lines(held_, out);
        held_.clear();
        searched_ = 0;
    }

private:
    std::string held_;
    std::size_t searched_ = 0;  // bytes of the open line that are known to contain no line end
};

/// The stages in order: known values, key blocks, patterns.
class Pipeline {
public:
    explicit Pipeline(const redaction::SecretLiterals& literals) : known_(literals) {}

    std::string feed(std::string_view chunk)
    {
        std::string known, blocks, lines;
        known_.feed(chunk, known);
        blocks_.feed(known, blocks);
        lines_.feed(blocks, lines);
        return lines;
    }

    std::string finish()
    {
        std::string known, blocks, lines;
        known_.finish(known);
        blocks_.feed(known, blocks);
        blocks_.finish(blocks);
        lines_.feed(blocks, lines);
        lines_.finish(lines);
        return lines;
    }

private:
    redaction::SecretLiterals::Scan known_;
    redaction::KeyBlocks blocks_;
    Lines lines_;
};

}  // namespace

struct Redactor::Patterns {
    redaction::SecretLiterals literals;
};

struct Redactor::Stream::State {
    explicit State(std::shared_ptr<const Redactor> r)
        : redactor(std::move(r)), pipeline(redactor->patterns_->literals)
    {}

    std::shared_ptr<const Redactor> redactor;
    Pipeline pipeline;
};

Redactor::Redactor() : Redactor(own_environment()) {}

Redactor::Redactor(std::span<const std::pair<std::string, std::string>> environment)
    : patterns_(new Patterns{redaction::SecretLiterals(environment)})
{}

Redactor::~Redactor() = default;

std::string Redactor::redact(std::string_view text) const
{
    constexpr std::size_t chunk = 64 * 1024;  // fits into the cache between stages
    Pipeline pipeline(patterns_->literals);
    std::string redacted;
    for (std::size_t at = 0; at < text.size(); at += chunk)
        redacted += pipeline.feed(text.substr(at, chunk));
    return redacted += pipeline.finish();
}

bool Redactor::finds_secret(std::string_view text) const
{
    return redact(text) != text;
}

Redactor::Stream::Stream(std::shared_ptr<const Redactor> redactor)
    : state_(std::make_unique<State>(std::move(redactor)))
{}

Redactor::Stream::~Stream() = default;
Redactor::Stream::Stream(Stream&&) noexcept = default;
Redactor::Stream& Redactor::Stream::operator=(Stream&&) noexcept = default;

std::string Redactor::Stream::feed(std::string_view chunk)
{
    return state_->pipeline.feed(chunk);
}

std::string Redactor::Stream::finish()
{
    return state_->pipeline.finish();
}

}  // namespace autoexec::inline v1
