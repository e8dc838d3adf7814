package app;

import java.nio.file.Files;

public class Main
{
    public static void main(String[] arguments) throws Exception
    {
        Files.delete(Files.createTempFile("app", ".tmp"));
        System.out.println(System.getProperty("user.home") + " " + Runtime.getRuntime().maxMemory());
    }
}
