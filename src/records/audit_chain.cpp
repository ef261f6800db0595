#include "records/audit_chain.hpp"

#include "text/text.hpp"
#include "text/text_buffer.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <new>
#include <system_error>
#include <utility>

namespace autoexec::records {
namespace {

constexpr std::string_view seq_key = ", \"seq\": ";
constexpr std::string_view prev_key = ", \"prev\": \"";
constexpr std::string_view hash_key = ", \"hash\": \"";
constexpr std::string_view link_end = "\"}";
constexpr std::string_view name_key = ", \"key\": \"";
constexpr std::size_t digits_of_name = 8;
constexpr std::size_t digits_of_hash = 64;
// What follows the bytes that are hashed.
constexpr std::size_t hash_size = hash_key.size() + digits_of_hash + link_end.size();

bool is_hash(std::string_view text)
{
    return std::all_of(text.begin(), text.end(),
                       [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

/// Removes `key`, so many digits and `end` from the end of `line`.
std::optional<std::string_view> remove_hash(std::string_view& line, std::string_view key,
                                            std::string_view end,
                                            std::size_t count = digits_of_hash)
{
    const auto size = key.size() + count + end.size();
    if (line.size() < size || !line.ends_with(end)) return std::nullopt;
    const auto part = line.substr(line.size() - size);
    const auto hash = part.substr(key.size(), count);
    if (!part.starts_with(key) || !is_hash(hash)) return std::nullopt;
    line.remove_suffix(size);
    return hash;
}

using DigestBytes = std::array<unsigned char, 32>;

// Fetching it for each line takes longer than hashing the line.
EVP_MD* sha256_algorithm()
{
    static EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
    return algorithm;
}

bool sha256(std::string_view text, DigestBytes& digest)
{
    thread_local const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(),
                                                                                  EVP_MD_CTX_free);
    return context && EVP_DigestInit_ex2(context.get(), sha256_algorithm(), nullptr) == 1 &&
           EVP_DigestUpdate(context.get(), text.data(), text.size()) == 1 &&
           EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) == 1;
}

bool hmac_sha256(std::string_view key, std::string_view text, DigestBytes& digest)
{
    return HMAC(sha256_algorithm(), key.data(), static_cast<int>(key.size()),
                reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data(),
                nullptr) != nullptr;
}

std::string_view view(const std::array<char, digits_of_hash>& digest)
{
    return {digest.data(), digest.size()};
}

/// The part of the link that is hashed.
void append_link(text::TextBuffer& line, std::string_view key_name, std::uint64_t seq,
                 std::string_view prev)
{
    if (!key_name.empty()) {
        line.append(name_key);
        line.append(key_name);
        line.append('"');
    }
    line.append(seq_key);
    line.append_number(seq);
    line.append(prev_key);
    line.append(prev);
    line.append('"');
}

}  // namespace

std::string_view first_prev() noexcept
{
    static constexpr std::string_view zeros =
        "0000000000000000000000000000000000000000000000000000000000000000";
    static_assert(zeros.size() == digits_of_hash);
    return zeros;
}

AuditChain::AuditChain(std::string key) : key_(std::move(key))
{
    if (!key_.empty()) key_name_ = hash("autoexec audit log").substr(0, digits_of_name);
}

AuditChain::Digest AuditChain::digest_of(std::string_view text) const
{
    DigestBytes bytes{};
    const bool done = key_.empty() ? sha256(text, bytes) : hmac_sha256(key_, text, bytes);
    if (!done) throw std::bad_alloc();  // the only reason
    Digest digest{};
    text::write_hex(digest.data(), {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    return digest;
}

std::string AuditChain::hash(std::string_view text) const
{
    return std::string(view(digest_of(text)));
}

std::string AuditChain::extend(std::string_view& lines, std::uint64_t max_bytes,
                               ChainLink& last) const
{
    constexpr std::size_t max_usual_line = 4096;  // the last line may exceed the limit
    text::TextBuffer chained(std::min<std::uint64_t>(2 * lines.size(), max_bytes) + max_usual_line);
    Digest prev{};
    Digest hash{};
    (last.seq == 0 ? first_prev() : last.hash).copy(hash.data(), hash.size());
    do {
        const auto end = lines.find('\n');
        auto line = lines.substr(0, end);
        lines.remove_prefix(end + 1);
        if (line.ends_with('}')) line.remove_suffix(1);
        const auto begin = chained.size();
        chained.append(line);
        append_link(chained, key_name_, ++last.seq, view(hash));
        prev = std::exchange(hash, digest_of(chained.view().substr(begin)));
        chained.append(hash_key);
        chained.append(view(hash));
        chained.append(link_end);
        chained.append('\n');
    } while (!lines.empty() && chained.size() < max_bytes);
    last.prev = view(prev);
    last.hash = view(hash);
    return std::move(chained).release();
}

bool AuditChain::is_right(std::string_view line, const ChainLink& link) const
{
    return line.size() > hash_size &&
           view(digest_of(line.substr(0, line.size() - hash_size))) == link.hash;
}

std::optional<ChainLink> link_of(std::string_view line)
{
    ChainLink link;
    const auto hash = remove_hash(line, hash_key, link_end);
    if (!hash) return std::nullopt;
    const auto prev = remove_hash(line, prev_key, "\"");
    if (!prev) return std::nullopt;
    const auto at = line.rfind(seq_key);
    if (at == line.npos) return std::nullopt;
    const auto number = line.substr(at + seq_key.size());
    const auto* const end = number.data() + number.size();
    const auto [stop, ec] = std::from_chars(number.data(), end, link.seq);
    if (ec != std::errc{} || stop != end || link.seq == 0 || number.starts_with('0'))
        return std::nullopt;
    line = line.substr(0, at);
    link.key = remove_hash(line, name_key, "\"", digits_of_name).value_or("");
    link.hash = *hash;
    link.prev = *prev;
    return link;
}

bool has_damaged_end(std::string_view line)
{
    const auto at = line.rfind(hash_key);
    if (at == line.npos || line.size() - at < hash_size) return false;
    auto whole = std::string(line.substr(0, at + hash_size - link_end.size())).append(link_end);
    return line != whole && link_of(whole).has_value();
}

}  // namespace autoexec::records
