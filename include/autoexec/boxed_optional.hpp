#pragma once

#include <memory>
#include <optional>
#include <utility>

namespace autoexec::inline v1 {

/// A `std::optional` that allocates its value: without one it has the size of a pointer. For large
/// members that few of many objects have. A copy has a value of its own; a moved-from one is empty.
template <class T>
class BoxedOptional {
public:
    BoxedOptional() noexcept = default;
    BoxedOptional(std::nullopt_t) noexcept {}
    BoxedOptional(T value) : value_(std::make_unique<T>(std::move(value))) {}
    BoxedOptional(std::optional<T> value)
    {
        if (value) emplace(std::move(*value));
    }
    BoxedOptional(const BoxedOptional& other)
    {
        if (other) emplace(*other);
    }
    BoxedOptional(BoxedOptional&&) noexcept = default;
    BoxedOptional& operator=(BoxedOptional other) noexcept
    {
        value_ = std::move(other.value_);
        return *this;
    }
    ~BoxedOptional() = default;

    /// Replaces the value by one made of `args`.
    template <class... Args>
    T& emplace(Args&&... args)
    {
        value_ = std::make_unique<T>(std::forward<Args>(args)...);
        return *value_;
    }
    /// Destroys the value.
    void reset() noexcept { value_.reset(); }

    /// Whether there is a value.
    [[nodiscard]] bool has_value() const noexcept { return value_ != nullptr; }
    /// Whether there is a value.
    explicit operator bool() const noexcept { return has_value(); }

    /// Undefined without a value.
    T& operator*() noexcept { return *value_; }
    const T& operator*() const noexcept { return *value_; }
    T* operator->() noexcept { return value_.get(); }
    const T* operator->() const noexcept { return value_.get(); }

    friend bool operator==(const BoxedOptional& a, const BoxedOptional& b)
    {
        return a && b ? *a == *b : a.has_value() == b.has_value();
    }

private:
    std::unique_ptr<T> value_;
};

}  // namespace autoexec::inline v1
