// A driver that runs programs, served by the real go-plugin library and read by the msgpack library of Go.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/golang/protobuf/ptypes"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/vmihailenco/msgpack/v5"
	"google.golang.org/grpc"

	base "meshnomad.test/pb/base"
	pb "meshnomad.test/pb/drivers"
	"meshnomad.test/pb/hclspec"
	"meshnomad.test/pb/shared"
)

const wrapper = `"$@" & echo $! >"$DIR/pid"; wait $!; echo $? >"$DIR/exit"`

type task struct {
	dir  string
	done chan struct{}
	code int
}

type driver struct {
	plugin.NetRPCUnsupportedPlugin
	pb.UnimplementedDriverServer
	log   hclog.Logger
	lock  sync.Mutex
	tasks map[string]*task
}

func (d *driver) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	base.RegisterBasePluginServer(s, d)
	pb.RegisterDriverServer(s, d)
	return nil
}

func (d *driver) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (interface{}, error) {
	return nil, errors.New("no client")
}

func attr(kind string, required bool) *hclspec.Spec {
	return &hclspec.Spec{Block: &hclspec.Spec_Attr{Attr: &hclspec.Attr{Type: kind, Required: required}}}
}

func object(attributes map[string]*hclspec.Spec) *hclspec.Spec {
	return &hclspec.Spec{Block: &hclspec.Spec_Object{Object: &hclspec.Object{Attributes: attributes}}}
}

func (d *driver) PluginInfo(context.Context, *base.PluginInfoRequest) (*base.PluginInfoResponse, error) {
	return &base.PluginInfoResponse{
		Type: base.PluginType_DRIVER, Name: "gotest", PluginVersion: "0.1.0", PluginApiVersions: []string{"v0.1.0"},
	}, nil
}

func (d *driver) ConfigSchema(context.Context, *base.ConfigSchemaRequest) (*base.ConfigSchemaResponse, error) {
	return &base.ConfigSchemaResponse{Spec: object(map[string]*hclspec.Spec{
		"greeting": {Block: &hclspec.Spec_Default{Default: &hclspec.Default{
			Primary: attr("string", false),
			Default: &hclspec.Spec{Block: &hclspec.Spec_Literal{Literal: &hclspec.Literal{Value: `"hello"`}}},
		}}},
	})}, nil
}

func (d *driver) SetConfig(_ context.Context, request *base.SetConfigRequest) (*base.SetConfigResponse, error) {
	var config struct {
		Greeting string `msgpack:"greeting"`
	}
	if err := msgpack.Unmarshal(request.MsgpackConfig, &config); err != nil {
		return nil, err
	}
	d.log.Info("configured", "greeting", config.Greeting, "api", request.PluginApiVersion)
	return &base.SetConfigResponse{}, nil
}

func (d *driver) TaskConfigSchema(context.Context, *pb.TaskConfigSchemaRequest) (*pb.TaskConfigSchemaResponse, error) {
	return &pb.TaskConfigSchemaResponse{Spec: object(map[string]*hclspec.Spec{
		"command": attr("string", true),
		"args":    attr("list(string)", false),
		"ports":   attr("map(number)", false),
	})}, nil
}

func (d *driver) Capabilities(context.Context, *pb.CapabilitiesRequest) (*pb.CapabilitiesResponse, error) {
	return &pb.CapabilitiesResponse{Capabilities: &pb.DriverCapabilities{SendSignals: true, Exec: true}}, nil
}

func (d *driver) Fingerprint(_ *pb.FingerprintRequest, stream pb.Driver_FingerprintServer) error {
	err := stream.Send(&pb.FingerprintResponse{
		Health: pb.FingerprintResponse_HEALTHY, HealthDescription: "Healthy",
		Attributes: map[string]*shared.Attribute{"driver.gotest": {Value: &shared.Attribute_StringVal{StringVal: "1"}}},
	})
	<-stream.Context().Done()
	return err
}

func (d *driver) TaskEvents(_ *pb.TaskEventsRequest, stream pb.Driver_TaskEventsServer) error {
	<-stream.Context().Done()
	return nil
}

func (d *driver) find(id string) (*task, error) {
	d.lock.Lock()
	defer d.lock.Unlock()
	if found := d.tasks[id]; found != nil {
		return found, nil
	}
	return nil, errors.New("task not found for given id")
}

func (d *driver) follow(id, dir string) {
	t := &task{dir: dir, done: make(chan struct{})}
	d.lock.Lock()
	d.tasks[id] = t
	d.lock.Unlock()
	go func() {
		for {
			if text, err := os.ReadFile(filepath.Join(dir, "exit")); err == nil && len(text) > 0 {
				t.code, _ = strconv.Atoi(strings.TrimSpace(string(text)))
				close(t.done)
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
}

func (t *task) kill(signal syscall.Signal) error {
	text, err := os.ReadFile(filepath.Join(t.dir, "pid"))
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return err
	}
	return syscall.Kill(pid, signal)
}

func (d *driver) StartTask(_ context.Context, request *pb.StartTaskRequest) (*pb.StartTaskResponse, error) {
	var config struct {
		Command string           `msgpack:"command"`
		Args    []string         `msgpack:"args"`
		Ports   map[string]int64 `msgpack:"ports"`
	}
	given := request.Task
	if err := msgpack.Unmarshal(given.MsgpackDriverConfig, &config); err != nil {
		return nil, err
	}
	if config.Command == "fail" {
		return nil, errors.New("there is no such program")
	}
	dir, err := os.MkdirTemp(given.AllocDir, "state-")
	if err != nil {
		return nil, err
	}
	stdout, err := os.OpenFile(given.StdoutPath, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	defer stdout.Close()
	stderr, err := os.OpenFile(given.StderrPath, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	defer stderr.Close()
	command := exec.Command("/bin/sh", append([]string{"-c", wrapper, "sh", config.Command}, config.Args...)...)
	command.Env = []string{"DIR=" + dir}
	for name, value := range given.Env {
		command.Env = append(command.Env, name+"="+value)
	}
	command.Dir = filepath.Join(given.AllocDir, given.Name)
	command.Stdout, command.Stderr = stdout, stderr
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		return nil, err
	}
	go command.Wait()
	d.log.Info("started", "task", given.Name, "cpu", given.Resources.AllocatedResources.Cpu.CpuShares)
	d.follow(given.Id, dir)
	for {
		if text, err := os.ReadFile(filepath.Join(dir, "pid")); err == nil && len(text) > 0 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	return &pb.StartTaskResponse{Handle: &pb.TaskHandle{
		Version: 7, Config: given, State: pb.TaskState_RUNNING, DriverState: []byte(dir),
	}}, nil
}

func (d *driver) RecoverTask(_ context.Context, request *pb.RecoverTaskRequest) (*pb.RecoverTaskResponse, error) {
	id, dir := request.Handle.Config.Id, string(request.Handle.DriverState)
	if _, err := os.Stat(dir); request.Handle.Version != 7 || err != nil {
		return nil, fmt.Errorf("the task is gone")
	}
	if _, err := d.find(id); err != nil {
		d.follow(id, dir)
	}
	return &pb.RecoverTaskResponse{}, nil
}

func (d *driver) WaitTask(ctx context.Context, request *pb.WaitTaskRequest) (*pb.WaitTaskResponse, error) {
	t, err := d.find(request.TaskId)
	if err != nil {
		return nil, err
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-t.done:
		return &pb.WaitTaskResponse{Result: &pb.ExitResult{ExitCode: int32(t.code)}}, nil
	}
}

var signals = map[string]syscall.Signal{"SIGHUP": 1, "SIGINT": 2, "SIGKILL": 9, "SIGTERM": 15, "": 15}

func (d *driver) StopTask(_ context.Context, request *pb.StopTaskRequest) (*pb.StopTaskResponse, error) {
	t, err := d.find(request.TaskId)
	if err != nil {
		return nil, err
	}
	grace, err := ptypes.Duration(request.Timeout)
	if err != nil {
		return nil, err
	}
	t.kill(signals[request.Signal])
	select {
	case <-t.done:
	case <-time.After(grace):
		t.kill(syscall.SIGKILL)
		<-t.done
	}
	return &pb.StopTaskResponse{}, nil
}

func (d *driver) DestroyTask(_ context.Context, request *pb.DestroyTaskRequest) (*pb.DestroyTaskResponse, error) {
	t, err := d.find(request.TaskId)
	if err != nil {
		return nil, err
	}
	select {
	case <-t.done:
	default:
		if !request.Force {
			return nil, errors.New("cannot destroy running task")
		}
		t.kill(syscall.SIGKILL)
		<-t.done
	}
	d.lock.Lock()
	delete(d.tasks, request.TaskId)
	d.lock.Unlock()
	return &pb.DestroyTaskResponse{}, os.RemoveAll(t.dir)
}

func (d *driver) SignalTask(_ context.Context, request *pb.SignalTaskRequest) (*pb.SignalTaskResponse, error) {
	t, err := d.find(request.TaskId)
	if err != nil {
		return nil, err
	}
	return &pb.SignalTaskResponse{}, t.kill(signals[request.Signal])
}

func (d *driver) TaskStats(request *pb.TaskStatsRequest, stream pb.Driver_TaskStatsServer) error {
	if _, err := d.find(request.TaskId); err != nil {
		return err
	}
	return stream.Send(&pb.TaskStatsResponse{Stats: &pb.TaskStats{
		Timestamp: ptypes.TimestampNow(),
		AggResourceUsage: &pb.TaskResourceUsage{
			Cpu:    &pb.CPUUsage{Percent: 1.5, MeasuredFields: []pb.CPUUsage_Fields{pb.CPUUsage_PERCENT}},
			Memory: &pb.MemoryUsage{Rss: 1 << 20, MeasuredFields: []pb.MemoryUsage_Fields{pb.MemoryUsage_RSS}},
		},
	}})
}

// No sessions: the host falls back on this.
func (d *driver) ExecTask(_ context.Context, request *pb.ExecTaskRequest) (*pb.ExecTaskResponse, error) {
	command := exec.Command(request.Command[0], request.Command[1:]...)
	output, err := command.Output()
	if err != nil {
		return nil, err
	}
	return &pb.ExecTaskResponse{Stdout: output, Result: &pb.ExitResult{ExitCode: int32(command.ProcessState.ExitCode())}}, nil
}

func main() {
	log := hclog.New(&hclog.LoggerOptions{Level: hclog.Trace, Output: os.Stderr, JSONFormat: true})
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			ProtocolVersion:  2,
			MagicCookieKey:   "NOMAD_PLUGIN_MAGIC_COOKIE",
			MagicCookieValue: "e4327c2e01eabfd75a8a67adb114fb34a757d57eee7728d857a8cec6e91a7255",
		},
		Plugins:    map[string]plugin.Plugin{"driver": &driver{log: log, tasks: map[string]*task{}}},
		GRPCServer: plugin.DefaultGRPCServer,
		Logger:     log,
	})
}
