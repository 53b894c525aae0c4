package engine

// Crew runs functions, each on a goroutine at once. One that is done is used again: its stack
// has grown to what the next function needs.
type Crew struct {
	idle      chan func()
	spare     chan struct{} // one for each that waits for work
	dismissed chan struct{}
}

// spare is how many goroutines of a crew wait for work at the most.
const spare = 64

// NewCrew returns a crew of nobody yet.
func NewCrew() Crew {
	return Crew{make(chan func()), make(chan struct{}, spare), make(chan struct{})}
}

// Run calls f on a goroutine, and does not wait.
func (c Crew) Run(f func()) {
	select {
	case c.idle <- f:
	default:
		go c.work(f)
	}
}

func (c Crew) work(f func()) {
	for {
		f()
		select {
		case c.spare <- struct{}{}:
		default:
			return
		}
		select {
		case f = <-c.idle:
		case <-c.dismissed:
			return
		}
		<-c.spare
	}
}

// Dismiss ends those that wait, and the others when they are done. It is called once.
func (c Crew) Dismiss() { close(c.dismissed) }
