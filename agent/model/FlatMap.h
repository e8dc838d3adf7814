#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace agent
{

/// A hash map from unsigned numbers to small values: one array, open addressing, no removal.
template <typename Key, typename Value> class FlatMap
{
public:
    /// Returns the key's value, or nullptr. Valid until the map changes.
    [[nodiscard]] const Value* find(Key key) const
    {
        if (_size == 0)
            return nullptr;
        const Slot& slot = _slots[slotOf(key)];
        return slot.used ? &slot.value : nullptr;
    }

    /// Returns the key's value, which is made first where there is none. Valid until the next call.
    Value& operator[](Key key)
    {
        if ((_size + 1) * 4 > _slots.size() * 3)
            grow();
        Slot& slot = _slots[slotOf(key)];
        if (!slot.used)
        {
            slot = {.key = key, .value = {}, .used = true};
            ++_size;
        }
        return slot.value;
    }

    [[nodiscard]] std::size_t size() const { return _size; }

    /// Calls `visit` with each key.
    template <typename Visit> void forEachKey(Visit visit) const
    {
        for (const Slot& slot : _slots)
            if (slot.used)
                visit(slot.key);
    }

private:
    struct Slot
    {
        Key key = 0;
        Value value = {};
        bool used = false;
    };
    static constexpr std::size_t fewest = 64;

    /// The key's place, or the free one for it.
    [[nodiscard]] std::size_t slotOf(Key key) const
    {
        const std::uint64_t hash = std::uint64_t{key} * 0x9E3779B97F4A7C15ULL;
        std::size_t at = static_cast<std::size_t>(hash >> 32U) & (_slots.size() - 1);
        while (_slots[at].used && _slots[at].key != key)
            at = (at + 1) & (_slots.size() - 1);
        return at;
    }

    void grow()
    {
        std::vector<Slot> slots(_slots.empty() ? fewest : 2 * _slots.size());
        slots.swap(_slots);
        for (const Slot& slot : slots)
            if (slot.used)
                _slots[slotOf(slot.key)] = slot;
    }

    std::vector<Slot> _slots; ///< a power of two, at least a quarter of them free
    std::size_t _size = 0;
};

} // namespace agent
