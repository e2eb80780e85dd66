package repeater

// What tests of the Redis store need from outside the package.
var (
	NewRedisQueue = newRedisQueue
	RedisSlot     = redisSlot
)
