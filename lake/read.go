package lake

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/value"
)

// Line is a record as the lake keeps it.
type Line = pinflow.Line

// Periods yields the log periods that have a folder, oldest first.
func (t *Topic) Periods(ctx context.Context) iter.Seq2[pinflow.Period, error] {
	return func(yield func(pinflow.Period, error) bool) {
		for info, err := range t.objects.List(ctx, topicFolder(t.Topic)+periodFolder, "/") {
			var p pinflow.Period
			if err == nil {
				if !strings.HasSuffix(info.Name, "/") {
					continue
				}
				p, err = parseFolder(t.PeriodLength(), strings.TrimPrefix(info.Name, topicFolder(t.Topic)))
			}
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}

// Objects yields all objects, in the order of period, partition and start.
func (t *Topic) Objects(ctx context.Context) iter.Seq2[Object, error] {
	return t.list(ctx, topicFolder(t.Topic)+periodFolder)
}

// PeriodObjects yields the objects of one period, in the order of partition and start.
func (t *Topic) PeriodObjects(ctx context.Context, p pinflow.Period) iter.Seq2[Object, error] {
	return t.list(ctx, topicFolder(t.Topic)+folderOf(t.PeriodLength(), p))
}

// PartitionObjects yields the objects of one partition in the order of their start, up to the one that is the last now.
func (t *Topic) PartitionObjects(ctx context.Context, partition int32) iter.Seq2[Object, error] {
	return t.objectsFrom(ctx, partition, -1)
}

// partitionPrefix is what the names of the partition's objects in the period start with.
func (t *Topic) partitionPrefix(p pinflow.Period, partition int32) string {
	name := Object{TopicPartition: pinflow.TopicPartition{Topic: t.Topic, Partition: partition}, Period: p}.Name(t.PeriodLength())
	return name[:strings.LastIndexByte(name, '-')+1]
}

func (t *Topic) list(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		for info, err := range t.objects.List(ctx, prefix, "") {
			var o Object
			if err == nil {
				var ok bool
				if o, ok, err = parseName(t.Topic, t.PeriodLength(), info); !ok && err == nil {
					continue
				}
			}
			if !yield(o, err) || err != nil {
				return
			}
		}
	}
}

// Read yields an object's lines, in the order of their offsets. A line that cannot be read is an Invalid error and ends it.
func (t *Topic) Read(ctx context.Context, o Object) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		for text, err := range t.lines(ctx, o) {
			var l Line
			if err == nil {
				l, err = t.parseLine(o, text)
			}
			if !yield(l, err) || err != nil {
				return
			}
		}
	}
}

func (t *Topic) parseLine(o Object, text []byte) (Line, error) {
	r, err := value.ParseLine(text)
	if err != nil {
		return Line{}, t.damaged(o, err)
	}
	l := Line{Record: r}
	l.Topic = o.Topic
	if l.Value == nil {
		var mark struct {
			Erased bool `json:"_erased"`
		}
		if err := json.Unmarshal(text, &mark); err != nil {
			return Line{}, t.damaged(o, err)
		}
		if l.Erased = mark.Erased; l.Erased {
			l.Partition = o.Partition
		}
	}
	return l, nil
}

// damaged is the error of an object that is not as it was written.
func (t *Topic) damaged(o Object, err error) error {
	return &pinflow.Error{Op: "read object", On: at(t.objects, o.Name(t.PeriodLength())), Kind: pinflow.Invalid, Err: err,
		Hint: "The object is damaged, or was not written by Pinflow: restore it from a copy."}
}

// lines yields an object's lines without their newlines; they are valid until the next. A gzip stream that is
// cut off or damaged is an Invalid error, one that could not be fetched is what Objects says of it.
func (t *Topic) lines(ctx context.Context, o Object) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		body, err := t.objects.Get(ctx, o.Name(t.PeriodLength()))
		if err != nil {
			yield(nil, err)
			return
		}
		defer body.Close()
		source := &sourceErr{r: body}
		reader := t.reader()
		defer t.readers.Put(reader)
		if err := reader.each(source, func(line []byte) bool { return yield(line, nil) }); err != nil {
			yield(nil, t.readFault(o, source, err))
		}
	}
}

func (t *Topic) reader() *lineReader {
	if r, ok := t.readers.Get().(*lineReader); ok {
		return r
	}
	return &lineReader{in: bufio.NewReaderSize(nil, 64<<10), buffered: bufio.NewReaderSize(nil, 64<<10)}
}

// readFault is the error of an object that could not be read to its end: by a fault of its place, or because it is damaged.
func (t *Topic) readFault(o Object, source *sourceErr, err error) error {
	if source.err == nil {
		return t.damaged(o, err)
	}
	return &pinflow.Error{Op: "read object", On: at(t.objects, o.Name(t.PeriodLength())), Kind: pinflow.Unavailable, Err: source.err}
}

// sourceErr remembers an error of r, to tell it from one of the bytes read.
type sourceErr struct {
	r   io.Reader
	err error
}

func (s *sourceErr) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// lineReader is what it takes to read a gzip stream line by line, kept for the next object.
type lineReader struct {
	in       *bufio.Reader
	unzip    gzip.Reader
	buffered *bufio.Reader
	long     []byte // a line of more than the buffer
}

// each calls f with each line of a gzip stream until it returns false.
func (r *lineReader) each(source io.Reader, f func(line []byte) bool) error {
	if err := r.open(source); err != nil {
		return err
	}
	r.buffered.Reset(&r.unzip)
	for r.long = nil; ; r.long = r.long[:0] {
		line, err := r.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if !f(line) {
			return nil
		}
	}
}

// open begins a stream.
func (r *lineReader) open(source io.Reader) error {
	r.in.Reset(source)
	return r.unzip.Reset(r.in)
}

// next returns a line without its end, io.EOF behind the last.
func (r *lineReader) next() ([]byte, error) {
	for {
		part, err := r.buffered.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			r.long = append(r.long, part...)
			continue
		case errors.Is(err, io.EOF) && len(part)+len(r.long) > 0:
			return nil, errNoEnd
		case err != nil:
			return nil, err
		}
		if len(r.long) > 0 {
			r.long = append(r.long, part...)
			part = r.long
		}
		return part[:len(part)-1], nil
	}
}
