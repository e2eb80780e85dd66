package repeater

import "github.com/webhook-repeater/repeater/internal/admin"

// AdminOperations lists what Admin serves, but for pages.
var AdminOperations = admin.Operations
